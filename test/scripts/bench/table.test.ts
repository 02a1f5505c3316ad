import { expect, test } from 'bun:test'
import type { Case, Measured } from '../../../scripts/bench/case.ts'
import { BASELINE, linesOf, TIDINGS } from '../../../scripts/bench/report.ts'
import { withFigures } from '../../../scripts/bench/table.ts'

const CASE: Case = {
  name: 'sample',
  title: 'a sample',
  metrics: [
    { key: 'rate', title: 'rate', unit: '/s', better: 'more', target: { ratio: 0.9 } },
    { key: 'ms', title: 'time', unit: 'ms', better: 'less', target: { atMost: 100 } },
  ],
  run: async () => ({}),
}

test('figures replace what stood between the marks, and nothing around them', () => {
  const rounds = new Map<string, Measured[]>([
    [BASELINE, [{ rate: 2000, ms: 10 }]],
    [TIDINGS, [{ rate: 1500, ms: 20 }]],
  ])
  const before = '# Title\n\n<!-- figures -->\nold\n<!-- /figures -->\n\nrest\n'
  const after = withFigures(before, { runtime: 'Bun' }, [{ case: CASE, lines: linesOf(CASE, rounds) }])
  expect(after).toBe(`# Title

<!-- figures -->

- runtime: Bun

| a sample | bare Bun | Tidings | as fast as bare Bun | target |
| --- | ---: | ---: | ---: | ---: |
| rate | 2,000 /s | 1,500 /s | 0.75 | 0.9: missed |
| time | 10.0 ms | 20.0 ms | 0.50 | 100 ms at most: met |
<!-- /figures -->

rest
`)
  expect(withFigures(after, { runtime: 'Bun' }, [{ case: CASE, lines: linesOf(CASE, rounds) }])).toBe(after)
})

test('a document without marks is refused, not overwritten', () => {
  expect(() => withFigures('# Title', {}, [])).toThrow('no <!-- figures -->')
})

test('what one side does not have is an empty cell', () => {
  const rounds = new Map<string, Measured[]>([
    [BASELINE, [{ rate: 2000 }]],
    [TIDINGS, [{ rate: 1500, ms: 20 }]],
  ])
  const document = '<!-- figures -->\n<!-- /figures -->\n'
  const after = withFigures(document, {}, [{ case: CASE, lines: linesOf(CASE, rounds) }])
  expect(after).toContain('| time |  | 20.0 ms |  | 100 ms at most: met |')
})

test('several tables stand in one document, each between marks of its own', () => {
  const before = '<!-- figures -->\nkept\n<!-- /figures -->\n<!-- others -->\nold\n<!-- /others -->\n'
  const after = withFigures(before, { runtime: 'Bun' }, [], 'others')
  expect(after).toBe('<!-- figures -->\nkept\n<!-- /figures -->\n<!-- others -->\n\n- runtime: Bun\n<!-- /others -->\n')
})
