import { expect, test } from 'bun:test'
import type { Case, Measured } from '../../../scripts/bench/case.ts'
import { BASELINE, linesOf, printCase, TIDINGS, warningsOf } from '../../../scripts/bench/report.ts'

const CASE: Case = {
  name: 'sample',
  title: 'a sample',
  metrics: [
    { key: 'rate', title: 'rate', unit: '/s', better: 'more', target: { ratio: 0.9 } },
    { key: 'ms', quantile: 0.5, title: 'time', unit: 'ms', better: 'less', target: { atMost: 100 } },
  ],
  run: async () => ({}),
}

test('a percentile is of the samples of all rounds, its quartiles are of the rounds', () => {
  const rounds = new Map<string, Measured[]>([
    [
      TIDINGS,
      [
        { rate: 1, ms: [1, 1, 1, 1] },
        { rate: 1, ms: [9] },
      ],
    ],
  ])
  expect(linesOf(CASE, rounds)[1]?.sides[TIDINGS]).toEqual({ median: 1, q1: 3, q3: 7 })
})

test('a target is met or missed by the ratio, or by our own figure', () => {
  const against = (rate: number, ms: number) =>
    linesOf(
      CASE,
      new Map([
        [BASELINE, [{ rate: 100, ms: [10] }]],
        [TIDINGS, [{ rate, ms: [ms] }]],
      ]),
    ).map(({ ratio, met }) => [ratio, met])
  expect(against(90, 100)).toEqual([
    [0.9, true],
    [0.1, true],
  ])
  expect(against(89, 101).map(([, met]) => met)).toEqual([false, false])
})

test('a case between two forms of Tidings holds the last against the first, and may allow so much more', () => {
  const more: Case = {
    ...CASE,
    sides: [{ name: 'plain' }, { name: 'stored' }],
    metrics: [{ key: 'ms', title: '', unit: 'ms', better: 'less', target: { over: 20 } }],
  }
  const against = (ms: number) =>
    linesOf(
      more,
      new Map([
        ['plain', [{ ms: 10 }]],
        ['stored', [{ ms }]],
      ]),
    ).map(({ ratio, met }) => [ratio, met])
  expect(against(30)).toEqual([[10 / 30, true]])
  expect(against(31)).toEqual([[10 / 31, false]])
})

test('a form of Tidings that stands alone has a figure and no ratio', () => {
  const alone: Case = {
    ...CASE,
    sides: [{ name: 'alone' }],
    metrics: [{ key: 'rate', title: '', unit: '/s', better: 'more', target: { atLeast: 50 } }],
  }
  const [line] = linesOf(alone, new Map([['alone', [{ rate: 50 }]]]))
  expect([line?.ratio, line?.met]).toEqual([undefined, true])
})

test('a case that counts operations gets a line with the time of the server for each', () => {
  const rounds = new Map([[TIDINGS, [{ rate: 1, ms: [1], server_us: 4 }]]])
  expect(linesOf(CASE, rounds).at(-1)).toMatchObject({
    metric: { key: 'server_us', unit: 'us' },
    sides: { [TIDINGS]: { median: 4 } },
  })
})

test('a saturated load, strangers on the core and frames of other sizes are warned of', () => {
  const quiet = { load_cpu: 0.5, server_cpu: 0.99, others_cpu: 0.01, frame_bytes: 258 }
  const warnings = (ours: Measured) =>
    warningsOf(
      new Map([
        [BASELINE, [quiet]],
        [TIDINGS, [{ ...quiet, ...ours }]],
      ]),
    )
  expect(warnings({ frame_bytes: 256 })).toEqual([])
  expect(warnings({ load_cpu: 0.95, server_cpu: 0.95 })).toEqual([])
  expect(warnings({ load_cpu: 0.95, server_cpu: 0.6 })).toEqual([expect.stringContaining('the load sets the pace')])
  expect(warnings({ others_cpu: 0.2 })).toEqual([expect.stringContaining('other processes used 20 %')])
  expect(warnings({ frame_bytes: 262 })).toEqual(['the sides sent frames of 258 and 262 bytes'])
})

test('the report shows both sides, the ratio and the verdict', () => {
  const rounds = new Map<string, Measured[]>([
    [BASELINE, [{ rate: 2000, ms: [10], load_cpu: 0.5, server_cpu: 0.8, frame_bytes: 258 }]],
    [TIDINGS, [{ rate: 1500, ms: [20], load_cpu: 0.5, server_cpu: 0.9, frame_bytes: 258 }]],
  ])
  const printed: string[] = []
  printCase(CASE, rounds, linesOf(CASE, rounds), (line) => printed.push(line))
  expect(printed.join('\n')).toBe(`
sample: a sample
  rate, /s
    bare Bun                 2,000  [2,000 .. 2,000]
    Tidings                  1,500  [1,500 .. 1,500]   x 0.75   target x 0.9 at least: MISSED
  time, ms
    bare Bun                  10.0  [10.0 .. 10.0]
    Tidings                   20.0  [20.0 .. 20.0]   x 0.50   target 100 ms at most: met
  bare Bun: server 80 % of its core, load 50 % of its own; frames of 258 bytes
  Tidings: server 90 % of its core, load 50 % of its own; frames of 258 bytes`)
})

test('a figure that one side does not have gives no ratio, and Redis has a line and a share of its own', () => {
  const cluster: Case = {
    ...CASE,
    sides: [{ name: 'one process' }, { name: 'two instances', instances: 2 }],
    metrics: [{ key: 'added', title: '', unit: 'ms', better: 'less', target: { atMost: 1 } }],
  }
  const rounds = new Map<string, Measured[]>([
    ['one process', [{ server_us: 10, server_cpu: 0.5, load_cpu: 0.1 }]],
    ['two instances', [{ added: 0.5, server_us: 20, redis_us: 5, server_cpu: 1.2, redis_cpu: 0.3, load_cpu: 0.1 }]],
  ])
  const lines = linesOf(cluster, rounds)
  expect(lines.map(({ metric, ratio, met }) => [metric.key, ratio, met])).toEqual([
    ['added', undefined, true],
    ['server_us', 0.5, undefined],
    ['redis_us', undefined, undefined],
  ])
  const printed: string[] = []
  printCase(cluster, rounds, lines, (line) => printed.push(String(line)))
  expect(printed).toContain('  two instances: of one core: instances 120 %, Redis 30 %, load 10 %')
})
