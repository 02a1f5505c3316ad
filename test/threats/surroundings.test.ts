import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { files } from '../config/support.ts'
import { BINARY, startBinary } from '../support/binary.ts'

setDefaultTimeout(20_000)

/** Danger: a server started in a folder that somebody else can write to runs with their settings, or runs their code. */
test('a hostile .env, bunfig.toml, package.json and tsconfig.json beside the binary change nothing', async () => {
  const hostile = 'require("node:fs").writeFileSync("owned", "1")'
  await using server = await startBinary({
    files: {
      '.env':
        'TIDINGS_AUTH_SECRET=attackers-attackers-attackers-attackers\nTIDINGS_ENV=development\nNODE_ENV=development\n',
      '.env.production': 'TIDINGS_LIMITS_PER_USER=0\n',
      '.env.local': 'BUN_OPTIONS=--preload=./hostile.js\n',
      'bunfig.toml': 'preload = ["./hostile.js"]\n[serve]\nport = 1\n[run]\nbun = true\n',
      'hostile.js': hostile,
      'package.json': '{"name":"x","type":"commonjs","scripts":{"preinstall":"./hostile.js"}}',
      'tsconfig.json': '{"compilerOptions":{"paths":{"*":["./hostile.js"]}}}',
      'index.js': hostile,
    },
  })
  expect(existsSync(join(server.folder, 'owned'))).toBe(false)
  expect(server.lines[0]).toMatchObject({ event: 'server_started', mode: 'production' })
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
})

/** Danger: a server that starts with a secret that everybody knows is open, and nobody notices. */
describe('a weak set-up', () => {
  const start = async (settings: string, env: Record<string, string> = {}) => {
    using folder = files({ 'settings.toml': settings })
    const child = Bun.spawn([BINARY, 'serve', '--config', 'settings.toml'], {
      cwd: folder.path('.'),
      env: { PATH: process.env.PATH, TIDINGS_SERVER_PORT: '0', TIDINGS_STORE_PATH: ':memory:', ...env },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
    return { code: await child.exited, out, err }
  }

  const cases: [name: string, settings: string, says: RegExp][] = [
    ['without a secret', '', /auth\.secret.*tidings token --new-secret/],
    ['with a short secret', '[auth]\nsecret = "short"', /at least 32 bytes, found 5/],
    ['with a secret from a tutorial', '[auth]\nsecret = "your-256-bit-secret-your-256-bit-secret"', /well-known/],
    ['with a repeated secret', `[auth]\nsecret = "${'ab'.repeat(20)}"`, /repetitive/],
    ['with an unknown key', '[limits]\nper_usr = 3', /per_usr/],
    ['with a number that is none', '[limits]\nper_user = "many"', /per_user/],
    ['with a short admin key', '[admin]\nkeys = ["admin"]', /admin\.keys.*32/],
    ['with an algorithm that signs nothing', '[auth]\nalgorithms = ["none"]', /algorithms/],
  ]
  for (const [name, settings, says] of cases) {
    test.concurrent(`${name} starts nothing, and says how to mend it`, async () => {
      const { code, out, err } = await start(settings)
      expect(code).not.toBe(0)
      expect(out).not.toContain('server_started')
      expect(err).toMatch(says)
    })
  }
})
