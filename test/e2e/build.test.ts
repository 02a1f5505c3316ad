import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from '../../package.json'

const ROOT = new URL('../..', import.meta.url).pathname
const BUILD_TIMEOUT_MS = 60_000
const COMMIT = 'fedcba987654'

/** Prints what the build put in and what it read from its surroundings. */
const PROBE = `
declare const TIDINGS_VERSION: string
declare const TIDINGS_COMMIT: string
// The real entry point awaits at the top level, which bytecode allows in one format only.
await Promise.resolve()
function fail(): never {
  throw new Error('on purpose')
}
if (process.argv.includes('fail')) fail()
console.log(JSON.stringify({
  version: TIDINGS_VERSION,
  commit: TIDINGS_COMMIT,
  environment: process.env.NODE_ENV,
  planted: Bun.env['TIDINGS_PLANTED'] ?? null,
  preloaded: 'preloaded' in globalThis,
}))
`

let folder: string
let binary: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidings-build-'))
  binary = join(folder, 'probe')
  const entry = join(folder, 'probe.ts')
  writeFileSync(entry, PROBE)
  const command = [process.execPath, 'scripts/build.ts', `--entry=${entry}`, `--outfile=${binary}`]
  const built = Bun.spawnSync(command, { cwd: ROOT, env: { ...process.env, TIDINGS_COMMIT: COMMIT } })
  if (!built.success) throw new Error(`the build failed:\n${built.stdout}${built.stderr}`)
}, BUILD_TIMEOUT_MS)

afterAll(() => rmSync(folder, { recursive: true }))

// A server started in a folder that somebody else can write to would run their code as its own.
test('a hostile bunfig.toml and .env in the working directory change nothing', () => {
  writeFileSync(join(folder, 'bunfig.toml'), 'preload = ["./hostile.ts"]\n')
  writeFileSync(join(folder, 'hostile.ts'), 'globalThis.preloaded = true\n')
  writeFileSync(join(folder, '.env'), 'TIDINGS_PLANTED=1\nNODE_ENV=development\n')
  writeFileSync(join(folder, '.env.production'), 'TIDINGS_PLANTED=2\n')
  const { NODE_ENV: _unset, ...env } = process.env
  const said = Bun.spawnSync([binary], { cwd: folder, env }).stdout.toString()
  expect(JSON.parse(said)).toEqual({
    version,
    commit: COMMIT,
    environment: 'production',
    planted: null,
    preloaded: false,
  })
})

test("an error's trace names the line of the source", () => {
  const failed = Bun.spawnSync([binary, 'fail'], { cwd: folder })
  expect(failed.success).toBe(false)
  expect(failed.stderr.toString()).toMatch(/probe\.ts:7/)
})
