/**
 * Which way imports point. Each area of `src/` names what it may import; anything else, and any cycle between files,
 * is a violation. Type imports, re-exports and dynamic imports count like any other: they tie files together all the same.
 */
import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { type Import, scanModule } from './scan.ts'

interface Area {
  /** Areas it may import besides itself; `*` is all of them. */
  readonly to: readonly string[]
  /** Packages it may import, where the area is restricted; `name` also allows `name/deeper`. */
  readonly packages?: readonly string[]
  /** Globals it may not touch. */
  readonly forbids?: readonly string[]
}

export interface Violation {
  /** `path:line`, relative to the repository. */
  readonly at: string
  readonly message: string
}

const INNER = ['core', 'protocol']

/**
 * The arrows: app -> everything; the ring of http … telemetry -> core -> protocol <- client. Within the ring one line has
 * a direction of its own: an address of http opens the door of transports, and the door judges credentials with auth.
 */
const AREAS: Readonly<Record<string, Area>> = {
  protocol: { to: [], packages: ['msgpackr'], forbids: ['Bun', 'process', 'Buffer'] },
  client: { to: ['protocol'], packages: [], forbids: ['Bun', 'process', 'Buffer'] },
  core: {
    to: ['protocol'],
    packages: ['typebox', 'node:async_hooks', 'node:crypto', 'node:events', 'node:util'],
    forbids: ['Bun'],
  },
  http: { to: [...INNER, 'transports', 'auth', 'web'] },
  transports: { to: [...INNER, 'auth'] },
  handlers: { to: INNER },
  backends: { to: INNER },
  auth: { to: INNER },
  telemetry: { to: INNER },
  web: { to: ['client', 'protocol'] },
  config: { to: ['protocol'] },
  app: { to: ['*'] },
  tidings: { to: ['*'] },
  testing: { to: ['*'] },
  cli: { to: ['*'] },
  main: { to: ['*'] },
  index: { to: ['*'] },
}

/** A file of its own at the top of `src/`, such as one that only holds the version. */
const LOOSE_FILE: Area = { to: INNER }

/** Packages that belong to a few places. A key also covers `key/deeper`, a place everything under it. */
const OWNED: readonly (readonly [name: string, places: readonly string[]])[] = [
  // The last one only hands it on to applications that the binary loads.
  ['elysia', ['http', 'app', 'tidings', 'index', 'cli/load-app']],
  ['@elysiajs/swagger', ['http']],
  ['@elysiajs/jwt', ['auth']],
  ['ioredis', ['backends/redis']],
  ['bun:sqlite', ['backends/embedded']],
]

/** Areas that compose others, and so may read the configuration's values and not only its type. */
const COMPOSERS = new Set(['app', 'tidings', 'cli', 'main', 'index', 'testing', 'config'])
/** Areas that also run in a browser: not even the configuration's type reaches them. */
const PORTABLE = new Set(['protocol', 'client', 'web'])

const covers = (name: string, specifier: string): boolean => specifier === name || specifier.startsWith(`${name}/`)

const areaOf = (file: string): string => file.replace(/\.tsx?$/, '').split('/')[0] ?? ''

function crossing(from: string, to: string, typeOnly: boolean): string | undefined {
  if (from === to) return undefined
  if (to === 'config') {
    if (PORTABLE.has(from)) return `${from} runs in browsers too: it may not know the server's configuration`
    if (typeOnly || COMPOSERS.has(from)) return undefined
    return `${from} may import the configuration's type only: write "import type"`
  }
  const area = AREAS[from] ?? LOOSE_FILE
  if (area.to.includes('*') || area.to.includes(to)) return undefined
  if (!(to in AREAS) && !PORTABLE.has(from) && from !== 'core') return undefined
  return `${from} may not import ${to}: it may import ${area.to.join(', ') || 'nothing outside itself'}`
}

function foreign(file: string, from: string, specifier: string): string | undefined {
  const allowed = AREAS[from]?.packages
  if (allowed && !allowed.some((name) => covers(name, specifier))) {
    return `${from} may not import "${specifier}": it may import ${allowed.join(', ') || 'no package'}`
  }
  for (const [name, places] of OWNED) {
    if (!covers(name, specifier)) continue
    const module = file.replace(/\.tsx?$/, '')
    if (!places.some((place) => covers(place, module))) return `"${specifier}" belongs to ${places.join(', ')}`
  }
  return undefined
}

/** The file under `src/` that an import names, with `/` between parts; `undefined` for a package. */
function target(file: string, specifier: string): string | undefined {
  if (specifier === 'tidings') return 'index.ts'
  if (specifier.startsWith('tidings/')) return `${specifier.slice('tidings/'.length)}/index.ts`
  return specifier.startsWith('.') ? join(dirname(file), specifier) : undefined
}

function checkOne(file: string, entry: Import): string | undefined {
  const from = areaOf(file)
  const to = target(file, entry.specifier)
  if (to === undefined) return foreign(file, from, entry.specifier)
  if (to === '../package.json') return undefined
  if (to.startsWith('..')) return `src/ may not import from outside of it: "${entry.specifier}"`
  return crossing(from, areaOf(to), entry.typeOnly)
}

/**
 * Checks every TypeScript file under `<root>/src`.
 * @returns violations in the order of the files, then one per group of files that import each other in a circle.
 */
export function checkImports(root: string): Violation[] {
  const violations: Violation[] = []
  const edges = new Map<string, string[]>()
  const src = join(root, 'src')
  const files = [...new Bun.Glob('**/*.{ts,tsx}').scanSync(src)].sort()
  for (const file of files) {
    const scanned = scanModule(join(src, file), readFileSync(join(src, file), 'utf8'))
    const report = (line: number, message: string): void => {
      violations.push({ at: `src/${file}:${line}`, message })
    }
    for (const entry of scanned.imports) {
      const message = checkOne(file, entry)
      if (message) report(entry.line, message)
    }
    const area = areaOf(file)
    for (const use of scanned.globals) {
      if (AREAS[area]?.forbids?.includes(use.name)) report(use.line, `${area} may not use the global ${use.name}`)
      if (area === 'core' && use.wallClock && file !== 'core/clock.ts') {
        report(use.line, 'core reads time through its clock, so that tests can move it')
      }
    }
    const known = scanned.imports.map((entry) => target(file, entry.specifier))
    edges.set(
      file,
      known.filter((to) => to !== undefined && files.includes(to)).map((to) => to ?? ''),
    )
  }
  for (const cycle of findCycles(edges)) {
    violations.push({ at: `src/${cycle[0]}`, message: `import cycle: ${[...cycle, cycle[0]].join(' -> ')}` })
  }
  return violations
}

/** One shortest cycle for each node that lies on one, each set of nodes named once. */
export function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[][] {
  const found = new Map<string, string[]>()
  for (const start of edges.keys()) {
    const cycle = shortestCycle(edges, start)
    const members = cycle ? [...cycle].sort().join('\n') : ''
    if (cycle && !found.has(members)) found.set(members, cycle)
  }
  return [...found.values()]
}

function shortestCycle(edges: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const cameFrom = new Map<string, string | undefined>([[start, undefined]])
  const queue = [start]
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    for (const next of edges.get(node) ?? []) {
      if (next === start) {
        const path = [node]
        for (let back = cameFrom.get(node); back !== undefined; back = cameFrom.get(back)) path.unshift(back)
        return path
      }
      if (cameFrom.has(next)) continue
      cameFrom.set(next, node)
      queue.push(next)
    }
  }
  return undefined
}

if (import.meta.main) {
  const root = join(import.meta.dir, '..')
  const violations = checkImports(root)
  for (const { at, message } of violations) console.error(`${relative(process.cwd(), join(root, at))} ${message}`)
  process.exit(violations.length === 0 ? 0 : 1)
}
