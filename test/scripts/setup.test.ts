import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { devDependencies } from '../../package.json'

const ROOT = new URL('../..', import.meta.url).pathname
const CLONED = ['package.json', 'package-lock.json', 'bunfig.toml', 'scripts', '.ci']

let clone: string
let tools: string

/** A clone with an entry point that only tells what it was given, and a path on which npm only takes notes. */
beforeEach(() => {
  clone = mkdtempSync(join(tmpdir(), 'tidings-clone-'))
  tools = join(clone, 'tools')
  mkdirSync(tools)
  for (const path of CLONED) cpSync(join(ROOT, path), join(clone, path), { recursive: true })
  write('src/main.ts', 'console.log(JSON.stringify({ args: process.argv.slice(2), cwd: process.cwd() }))')
  for (const name of ['sh', 'dirname', 'node', 'id', 'rm', 'cat']) link(name)
  tool('npm', `echo "$@" >> '${clone}/npm-calls'`)
})

afterEach(() => rmSync(clone, { recursive: true }))

function write(path: string, text: string): void {
  mkdirSync(dirname(join(clone, path)), { recursive: true })
  writeFileSync(join(clone, path), text)
}

function link(name: string): void {
  const found = Bun.which(name)
  if (!found) throw new Error(`this test needs ${name}`)
  symlinkSync(found, join(tools, name))
}

function tool(name: string, script: string): void {
  writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(tools, name), 0o755)
}

function run(script: string, args: string[] = [], env: Record<string, string> = {}) {
  const { success, exitCode, stdout, stderr } = Bun.spawnSync([join(clone, script), ...args], {
    cwd: tools,
    env: { PATH: tools, ...env },
  })
  return { success, exitCode, stdout: stdout.toString(), stderr: stderr.toString() }
}

function npmCalls(): string {
  try {
    return readFileSync(join(clone, 'npm-calls'), 'utf8').trim()
  } catch {
    return ''
  }
}

const installEverything = (): void => symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'))

describe('start', () => {
  test('installs nothing where everything is there, and hands its arguments over from the folder it was called in', () => {
    installEverything()
    const { stdout } = run('scripts/start', ['--port', '0', 'two words'])
    expect(npmCalls()).toBe('')
    expect(JSON.parse(stdout)).toEqual({ args: ['serve', '--dev', '--port', '0', 'two words'], cwd: tools })
  })

  test('installs in a fresh clone what running needs, with the Bun that package.json names', () => {
    run('scripts/start')
    expect(npmCalls()).toBe(`install --omit=dev --no-save --save-prod --loglevel=error bun@${devDependencies.bun}`)
  })

  // npm removes what it was told to omit: a developer who starts a server would lose the gate's tools.
  test("installs everything where a developer's packages are found", () => {
    write('node_modules/knip/package.json', JSON.stringify({ version: devDependencies.knip }))
    run('scripts/start')
    expect(npmCalls()).toBe('install --no-save --loglevel=error')
  })

  test('says what to do where npm is missing', () => {
    rmSync(join(tools, 'npm'))
    const { success, stderr } = run('scripts/start')
    expect(success).toBe(false)
    expect(stderr).toContain('sudo apt-get install nodejs npm')
  })
})

describe('test', () => {
  test('in CI a program that cannot be installed is a failure', () => {
    installEverything()
    tool('apt-get', 'exit 100')
    tool('sudo', 'exec "$@"')
    const { success, stderr } = run('scripts/test', [], { CI: 'true' })
    expect(success).toBe(false)
    expect(stderr).toContain('redis-server is missing, which CI does not excuse')
  })

  test('elsewhere the tests run without it', () => {
    installEverything()
    tool('apt-get', 'exit 100')
    tool('sudo', 'exec "$@"')
    write('scripts/run-tests.ts', 'console.log(JSON.stringify(process.argv.slice(2)))')
    const { success, stdout } = run('scripts/test', ['-t', 'a joiner'])
    expect(success).toBe(true)
    expect(JSON.parse(stdout)).toEqual(['-t', 'a joiner'])
  })
})

describe('.ci/run', () => {
  test('ends with a failure where the tests did not even start, and keeps the exit status', () => {
    write('scripts/test', '#!/bin/sh\necho broken\nexit 3\n')
    expect(run('.ci/run')).toMatchObject({ exitCode: 3, stdout: 'broken\n0 passed, 1 failed\n' })
  })

  test('adds nothing to the summary of tests that ran', () => {
    write(
      'scripts/test',
      '#!/bin/sh\n[ "$CI" = true ] && echo "4 passed, 1 failed" > coverage/summary\ncat coverage/summary\nexit 1\n',
    )
    write('coverage/summary', 'left over from before\n')
    expect(run('.ci/run')).toMatchObject({ exitCode: 1, stdout: '4 passed, 1 failed\n' })
  })
})
