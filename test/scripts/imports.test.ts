import { afterEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { checkImports, findCycles } from '../../scripts/imports.ts'

const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

/** Writes a small source tree and returns what the check says of it, as `place message`. */
function check(files: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'imports-'))
  roots.push(root)
  for (const [file, text] of Object.entries(files)) {
    const path = join(root, 'src', file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  return checkImports(root).map(({ at, message }) => `${at} ${message}`)
}

describe('import direction', () => {
  test('arrows that point inwards pass', () => {
    const tree = {
      'app.ts': "import './http/routes.ts'\nimport { Elysia } from 'elysia'\nnew Elysia()",
      'http/routes.ts': "import { session } from '../core/session.ts'\nimport { t } from 'elysia'\nt(session)",
      'core/session.ts': "import type { Frame } from '../protocol/frame.ts'\nexport const session = {} as Frame",
      'client/index.ts': "export { frame } from '../protocol/frame.ts'",
      'protocol/frame.ts': 'export type Frame = object\nexport const frame = 1',
    }
    expect(check(tree)).toEqual([])
  })

  const outward = 'core may not import http: it may import protocol'
  test.each([
    ['a value import', "import { a } from '../http/a.ts'\na()"],
    ['a type import', "import type { A } from '../http/a.ts'\nexport type B = A"],
    ['a type in place', "export type B = import('../http/a.ts').A"],
    ['a dynamic import', "export const load = () => import('../http/a.ts')"],
    ['a dynamic import in backquotes', 'export const load = () => import(`../http/a.ts`)'],
    ['a re-export', "export { a } from '../http/a.ts'"],
    ['a re-export of everything', "export * from '../http/a.ts'"],
    ['a require', "export const a = require('../http/a.ts')"],
  ])('%s that points outwards is found', (_name, text) => {
    expect(check({ 'core/session.ts': text, 'http/a.ts': 'export const a = 1' })).toEqual([
      `src/core/session.ts:1 ${outward}`,
    ])
  })

  test('areas of the same ring do not import each other, but http the door, and the door its credentials', () => {
    const tree = {
      'http/a.ts': "import '../transports/b.ts'",
      'transports/b.ts': "import '../auth/c.ts'",
      'auth/c.ts': "import '../http/d.ts'",
      'http/d.ts': '',
      'handlers/e.ts': "import '../auth/c.ts'",
    }
    expect(check(tree)).toEqual([
      'src/auth/c.ts:1 auth may not import http: it may import core, protocol',
      'src/handlers/e.ts:1 handlers may not import auth: it may import core, protocol',
    ])
  })

  test('the client imports the protocol and nothing else, not even a package', () => {
    const tree = { 'client/a.ts': "import '../core/b.ts'\nimport 'jose'\nimport 'node:fs'", 'core/b.ts': '' }
    expect(check(tree)).toEqual([
      'src/client/a.ts:1 client may not import core: it may import protocol',
      'src/client/a.ts:2 client may not import "jose": it may import no package',
      'src/client/a.ts:3 client may not import "node:fs": it may import no package',
    ])
  })

  test('only http and the composition root know Elysia', () => {
    const text = "import 'elysia'"
    expect(check({ 'http/a.ts': text, 'app.ts': text, 'transports/a.ts': text })).toEqual([
      'src/transports/a.ts:1 "elysia" belongs to http, app, tidings, index, cli/load-app',
    ])
  })

  test('the configuration is imported for its type only, and never by what runs in browsers', () => {
    const tree = {
      'config.ts': 'export type Config = object\nexport const defaults = {}',
      'core/a.ts': "import type { Config } from '../config.ts'\nexport type A = Config",
      'core/b.ts': "import { defaults } from '../config.ts'\nexport const b = defaults",
      'client/c.ts': "import type { Config } from '../config.ts'\nexport type C = Config",
      'cli/d.ts': "import { defaults } from '../config.ts'\nexport const d = defaults",
    }
    expect(check(tree)).toEqual([
      "src/client/c.ts:1 client runs in browsers too: it may not know the server's configuration",
      'src/core/b.ts:1 core may import the configuration\'s type only: write "import type"',
    ])
  })

  test('the core reads neither the wall clock nor the runtime', () => {
    const text = 'export const a = Date.now()\nexport const b = new Date()\nexport const c = new Date(0)\nBun.gc(true)'
    expect(check({ 'core/a.ts': text, 'core/clock.ts': 'export const now = () => Date.now()' })).toEqual([
      'src/core/a.ts:1 core reads time through its clock, so that tests can move it',
      'src/core/a.ts:2 core reads time through its clock, so that tests can move it',
      'src/core/a.ts:4 core may not use the global Bun',
    ])
  })

  test('sources do not reach outside of src', () => {
    expect(check({ 'app.ts': "import '../test/kit.ts'\nimport { version } from '../package.json'\nversion" })).toEqual([
      'src/app.ts:1 src/ may not import from outside of it: "../test/kit.ts"',
    ])
  })

  test('a name in a comment or a string is no import', () => {
    const text = '// import "../http/a.ts"\nexport const text = \'import "../http/a.ts"\''
    expect(check({ 'core/a.ts': text, 'http/a.ts': '' })).toEqual([])
  })
})

describe('import cycles', () => {
  test('a cycle of type imports is found and named once', () => {
    const tree = {
      'core/a.ts': "import type { B } from './b.ts'\nexport type A = B",
      'core/b.ts': "import type { C } from './c.ts'\nexport type B = C",
      'core/c.ts': "import type { A } from './a.ts'\nexport type C = A",
    }
    expect(check(tree)).toEqual(['src/core/a.ts import cycle: core/a.ts -> core/b.ts -> core/c.ts -> core/a.ts'])
  })

  test('a file that imports itself is a cycle', () => {
    expect(findCycles(new Map([['a', ['a']]]))).toEqual([['a']])
  })

  test('two ways to the same file are no cycle', () => {
    const edges = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
      ['d', []],
    ])
    expect(findCycles(edges)).toEqual([])
  })
})
