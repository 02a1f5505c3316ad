#!/usr/bin/env bun
/**
 * `bun run bench`: Tidings beside a bare `Bun.serve` publish/subscribe server that sends the same bytes.
 *
 *   bun run bench                                  every case, five rounds
 *   bun run bench -- --only fanout,echo --rounds 3 cases by name, or by the beginning of one
 *   bun run bench -- --cluster                     instances that share a Redis; `redis-server` has to be installed
 *   bun run bench -- --quick                       shorter cases, two rounds: to see that it works, not to quote
 *   bun run bench -- --json out.json               every figure of every round as well
 *   bun run bench -- --table docs/benchmarks.md    the figures into that document
 *   bun run bench -- --source                      from src/main.ts instead of the compiled dist/tidings
 *   bun run bench -- --binary FILE                 another binary
 *
 * How to read it. Each round starts the baseline, runs the case, stops it, and does the same with Tidings, so that a
 * noisy minute falls on both. A figure is the median of the rounds (a percentile: of all rounds' samples together),
 * the brackets hold the rounds' quartiles, and `x` is how fast Tidings is beside the baseline: 1 is as fast, less is
 * slower, whether the figure is a rate or a time. Cases of what is stored and of event streams hold one form of Tidings
 * against another instead: stored against not, event streams against WebSockets. Absolute figures belong to the machine; quote the ratios.
 *
 * Server and load have a core each. Where the load is busy above 90 % while the server is not, a warning says that
 * the load sets the pace, and where other processes use the server's core, another one: then the server's
 * microseconds per operation, which neither changes much, are what to compare.
 *
 * A case is one file in scripts/bench/cases/ and one line in scripts/bench/cases.ts.
 */

import { existsSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Case, Deployment, Measured, Side, Transport } from './bench/case.ts'
import { CASES, CLUSTER_CASES, selectCases } from './bench/cases.ts'
import { alone, type Running, startSide } from './bench/deployments.ts'
import { LIFTED, ROOT, runLoad, startBaseline } from './bench/processes.ts'
import { BASELINE, linesOf, printCase, type Rounds, TIDINGS } from './bench/report.ts'
import { type Found, withFigures } from './bench/table.ts'
import { catchTemplates } from './bench/templates.ts'
import { PINNED } from './bench/usage.ts'

const { values: options } = parseArgs({
  args: Bun.argv.slice(2),
  options: {
    only: { type: 'string', default: '' },
    rounds: { type: 'string' },
    json: { type: 'string' },
    table: { type: 'string' },
    quick: { type: 'boolean', default: false },
    source: { type: 'boolean', default: false },
    binary: { type: 'string', default: join(ROOT, 'dist', 'tidings') },
    cluster: { type: 'boolean', default: false },
  },
})

const rounds = Number(options.rounds ?? (options.quick ? 2 : 5))
if (!Number.isInteger(rounds) || rounds < 1)
  throw new Error(`--rounds takes a whole number from 1 on, not ${options.rounds}`)
const cases = selectCases(
  options.only.split(',').filter((name) => name !== ''),
  options.cluster ? CLUSTER_CASES : CASES,
)
const secret = crypto.randomUUID() + crypto.randomUUID()
const command = options.source ? [process.execPath, join(ROOT, 'src', 'main.ts')] : [options.binary]

await builtWhereMissing()
const about = await describe()
for (const [name, value] of Object.entries(about)) console.log(`${name.padEnd(10)} ${value}`)

const templates = await against(startSide(command, secret, { name: TIDINGS }), ({ servers }) =>
  catchTemplates(servers[0]?.port ?? 0, secret),
)
const report: Record<string, unknown>[] = []
const tables: Found[] = []
const failures: string[] = []
for (const each of cases) {
  try {
    const found = await measure(each)
    const lines = linesOf(each, found)
    printCase(each, found, lines)
    tables.push({ case: each, lines })
    report.push({ name: each.name, title: each.title, lines, rounds: Object.fromEntries(found) })
  } catch (error) {
    failures.push(each.name)
    console.log(`\n${each.name}: could not be measured: ${error instanceof Error ? error.message : error}`)
  }
}
if (options.json !== undefined)
  await Bun.write(options.json, JSON.stringify({ about, templates, cases: report }, null, 1))
if (options.table !== undefined) {
  const place = options.cluster ? 'cluster figures' : 'figures'
  await Bun.write(options.table, withFigures(await Bun.file(options.table).text(), about, tables, place))
}
if (failures.length > 0) {
  console.log(`\nnot measured: ${failures.join(', ')}`)
  process.exit(1)
}

/** A side after the other, as often as there are rounds. */
async function measure(each: Case): Promise<Rounds> {
  const sides = each.sides === undefined ? besideBareBun(each) : amongOurselves(each.sides)
  const found: Rounds = new Map(sides.map(({ name }) => [name, [] as Measured[]]))
  for (let round = 0; round < Math.min(rounds, each.maxRounds ?? rounds); round++) {
    for (const { name, start, query, transport } of sides) {
      const measured = await against(start(), ({ servers, redis, cores }) =>
        runLoad({
          case: each.name,
          role: 'run',
          servers,
          redis,
          cores,
          secret,
          quick: options.quick,
          query,
          transport,
        }),
      )
      found.get(name)?.push(measured)
    }
  }
  return found
}

interface Contender {
  name: string
  start: () => Promise<Running>
  query: string
  transport: Transport
}

function besideBareBun(each: Case): Contender[] {
  const transport = 'websocket'
  const bare = { name: BASELINE, start: () => alone(startBaseline(templates)), query: '', transport } as const
  return [
    bare,
    {
      name: TIDINGS,
      start: () => startSide(command, secret, { name: TIDINGS, flags: each.flags ?? [] }),
      query: '',
      transport,
    },
    ...Object.entries(each.variants ?? {}).map(([name, query]) => ({ ...bare, name, query })),
  ]
}

function amongOurselves(sides: readonly Side[]): Contender[] {
  return sides.map((side) => ({
    name: side.name,
    start: () => startSide(command, secret, side),
    query: '',
    transport: side.transport ?? 'websocket',
  }))
}

async function against<T>(starting: Promise<Running>, use: (deployment: Deployment) => Promise<T>): Promise<T> {
  await using running = await starting
  return await use(running)
}

async function builtWhereMissing(): Promise<void> {
  if (options.source || existsSync(options.binary)) return
  console.log(`${options.binary} is not there: building`)
  const build = Bun.spawn([process.execPath, 'run', 'build'], { cwd: ROOT, stdout: 'inherit', stderr: 'inherit' })
  if ((await build.exited) !== 0) throw new Error('the build failed')
}

async function describe(): Promise<Record<string, string>> {
  const [version, commit, changed] = await Promise.all([
    output([...command, '--version']),
    output(['git', 'rev-parse', '--short', 'HEAD']),
    output(['git', 'status', '--porcelain', '--', 'src']),
  ])
  const cores = cpus()
  return {
    machine: `${cores.length} cores, ${cores[0]?.model.trim() ?? 'unknown'}, Linux ${release()}`,
    runtime: `Bun ${Bun.version}`,
    ...(options.cluster
      ? { redis: /v=(\S+)/.exec(await output(['redis-server', '--version']))?.[1] ?? 'unknown' }
      : { baseline: 'Bun.serve with publish/subscribe, the same bytes in every frame (scripts/bench/baseline.ts)' }),
    tidings: `${version}, ${options.source ? 'from source' : 'compiled'}; work tree at ${commit}${changed === '' ? '' : ' with changes'}`,
    limits: `lifted by ${LIFTED.join(' ')}`,
    cores: coresInWords(),
    rounds: `${rounds}, sides in turn${options.quick ? '; quick: not to be quoted' : ''}`,
  }
}

function coresInWords(): string {
  if (!PINNED) return 'NOT PINNED (no taskset, or one core): figures vary more'
  const apart = 'the server has one, the load another'
  return options.cluster ? `of one process: ${apart}; instances share all of them with Redis and the load` : apart
}

async function output(args: string[]): Promise<string> {
  const child = Bun.spawn(args, { cwd: ROOT, stdout: 'pipe', stderr: 'ignore' })
  return (await new Response(child.stdout).text()).trim()
}
