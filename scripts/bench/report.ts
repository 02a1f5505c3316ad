/** What a run prints: each figure of both sides, their ratio, the target beside it, and what the load process cost. */

import type { Case, Measured, Metric } from './case.ts'
import { quantile, type Summary, speedRatio, summarize } from './statistics.ts'

export const BASELINE = 'bare Bun'
export const TIDINGS = 'Tidings'

/** The side that a case's figures are held against, and the one whose figures they are; one and the same: it stands alone. */
export function sidesOf({ sides }: Case): { reference: string; own: string } {
  if (sides === undefined) return { reference: BASELINE, own: TIDINGS }
  const [first, last] = sides
  return { reference: first.name, own: (last ?? first).name }
}

/** What every round of a side returned. */
export type Rounds = Map<string, Measured[]>

export interface Line {
  metric: Metric
  /** Per side: the figure and the quartiles of the rounds. */
  sides: Record<string, Summary>
  /** Our side beside the reference, 1 being equal and more being better. */
  ratio?: number
  met?: boolean
}

/** Above this share of a core the load process may be what is measured, if the server has time to spare. */
const LOAD_SATURATED = 0.9

/** Every case that counts its operations has it: the figure that a busy machine changes least. */
const SERVER_TIME: Metric = { key: 'server_us', title: "server's time per operation", unit: 'us', better: 'less' }
/** The same of a cluster, beside that of its instances together. */
const REDIS_TIME: Metric = { key: 'redis_us', title: "Redis' time per operation", unit: 'us', better: 'less' }

/** Above this share of the server's core, taken by strangers, a rate or a latency says little. */
const OTHERS_NOISY = 0.05

/** The lines of a case. A percentile is taken from the samples of all rounds; its quartiles are the rounds' own. */
export function linesOf(measured: Case, rounds: Rounds): Line[] {
  const { reference, own } = sidesOf(measured)
  const costs = [SERVER_TIME, REDIS_TIME].filter(({ key }) => hasKey(rounds, key))
  return [...measured.metrics, ...costs].map((metric) => {
    const sides: Record<string, Summary> = {}
    for (const [side, results] of rounds) {
      const values = results.map((result) => figure(result[metric.key], metric))
      const pooled = results.flatMap((result) => result[metric.key] ?? [])
      sides[side] = summarize(values)
      if (metric.quantile !== undefined) sides[side].median = quantile(pooled, metric.quantile)
    }
    const line: Line = { metric, sides }
    const ours = sides[own]?.median
    const theirs = reference === own ? undefined : sides[reference]?.median
    if (isFigure(ours) && isFigure(theirs)) line.ratio = speedRatio(ours, theirs, metric.better)
    if (metric.target !== undefined && ours !== undefined) {
      const met = isMet(metric.target, ours, theirs, line.ratio)
      if (met !== undefined) line.met = met
    }
    return line
  })
}

function hasKey(rounds: Rounds, key: string): boolean {
  return [...rounds.values()].some((results) => results.some((result) => key in result))
}

/** Whether a side has found the figure: one may have no such thing. */
function isFigure(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value)
}

function isMet(
  target: NonNullable<Metric['target']>,
  ours: number,
  theirs: number | undefined,
  ratio: number | undefined,
): boolean | undefined {
  if ('atMost' in target) return ours <= target.atMost
  if ('atLeast' in target) return ours >= target.atLeast
  if ('over' in target) return theirs === undefined ? undefined : ours - theirs <= target.over
  return ratio === undefined ? undefined : ratio >= target.ratio
}

/** A target in words, for a ratio after `sign`. */
export function wanted(target: NonNullable<Metric['target']>, unit: string, sign = ''): string {
  if ('atMost' in target) return `${shown(target.atMost)} ${unit} at most`
  if ('atLeast' in target) return `${shown(target.atLeast)} ${unit} at least`
  if ('over' in target) return `${shown(target.over)} ${unit} more at most`
  return `${sign}${target.ratio}${sign === '' ? '' : ' at least'}`
}

function figure(value: number | number[] | undefined, metric: Metric): number {
  if (Array.isArray(value)) return quantile(value, metric.quantile ?? 0.5)
  return value ?? Number.NaN
}

export function printCase(measured: Case, rounds: Rounds, lines: readonly Line[], print = console.log): void {
  const { own } = sidesOf(measured)
  print(`\n${measured.name}: ${measured.title}`)
  for (const { metric, sides, ratio, met } of lines) {
    print(`  ${metric.title}, ${metric.unit}`)
    for (const [side, { median, q1, q3 }] of Object.entries(sides)) {
      const verdict = side === own ? verdictOf(metric, ratio, met) : ''
      print(`    ${side.padEnd(20)}${shown(median).padStart(10)}  [${shown(q1)} .. ${shown(q3)}]${verdict}`)
    }
  }
  for (const [side, results] of rounds) print(`  ${side}: ${costOf(results)}`)
  for (const warning of warningsOf(rounds)) print(`  WARNING: ${warning}`)
}

function verdictOf(metric: Metric, ratio: number | undefined, met: boolean | undefined): string {
  let verdict = ratio === undefined ? '' : `   x ${ratio.toFixed(2)}`
  if (metric.target !== undefined) {
    verdict += `   target ${wanted(metric.target, metric.unit, 'x ')}${met === undefined ? '' : met ? ': met' : ': MISSED'}`
  }
  return verdict
}

/** What the run cost both processes, and how long its frames were. */
function costOf(results: readonly Measured[]): string {
  const [load, server] = [middle(results, 'load_cpu'), middle(results, 'server_cpu')]
  const [redis, others] = [middle(results, 'redis_cpu'), middle(results, 'others_cpu')]
  const parts = Number.isFinite(redis)
    ? [`of one core: instances ${percent(server)}, Redis ${percent(redis)}, load ${percent(load)}`]
    : [`server ${percent(server)} of its core, load ${percent(load)} of its own`]
  if (Number.isFinite(others))
    parts.push(`others ${percent(others)}${Number.isFinite(redis) ? '' : " of the server's"}`)
  const bytes = middle(results, 'frame_bytes')
  if (Number.isFinite(bytes)) parts.push(`frames of ${bytes} bytes`)
  return parts.join('; ')
}

export function warningsOf(rounds: Rounds): string[] {
  const warnings: string[] = []
  for (const [side, results] of rounds) {
    const load = middle(results, 'load_cpu')
    const server = middle(results, 'server_cpu')
    if (load > LOAD_SATURATED && server < LOAD_SATURATED) {
      warnings.push(
        `${side}: the load sets the pace (${percent(load)} of its core), not the server (${percent(server)})`,
      )
    }
    const others = middle(results, 'others_cpu')
    if (others > OTHERS_NOISY) warnings.push(`${side}: other processes used ${percent(others)} of the server's core`)
  }
  const sizes = [BASELINE, TIDINGS].map((side) => middle(rounds.get(side) ?? [], 'frame_bytes'))
  // A timestamp is up to three digits shorter when its milliseconds end in zeros.
  if (Math.abs((sizes[0] ?? 0) - (sizes[1] ?? 0)) > 3)
    warnings.push(`the sides sent frames of ${sizes.join(' and ')} bytes`)
  return warnings
}

function middle(results: readonly Measured[], key: string): number {
  return summarize(results.map((result) => number(result, key))).median
}

function number(result: Measured, key: string): number {
  const value = result[key]
  return typeof value === 'number' ? value : Number.NaN
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`
}

/** A figure with as many digits as it deserves. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value >= 1000) return Math.round(value).toLocaleString('en')
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}
