import { expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { version } from '../../package.json'

const ROOT = new URL('../..', import.meta.url).pathname
const COMMIT = '0123456789ab'
/** npm's downloads, the build and, with an engine, its base images. */
const TIMEOUT_MS = 300_000

interface Instruction {
  readonly name: string
  readonly rest: string
}

function readDockerfile(): Instruction[] {
  const text = readFileSync(`${ROOT}Dockerfile`, 'utf8')
  const lines = text
    .replace(/^#.*\n/gm, '')
    .replace(/\\\n/g, ' ')
    .split('\n')
  return lines
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', rest = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? []
      return { name, rest }
    })
}

/** The instructions from the first FROM to the second. */
function buildStage(instructions: readonly Instruction[]): readonly Instruction[] {
  const second = instructions.findIndex(({ name }, index) => name === 'FROM' && index > 0)
  return instructions.slice(1, second)
}

function run(command: readonly string[], options: { cwd?: string; env?: Record<string, string> } = {}): string {
  const done = Bun.spawnSync([...command], { cwd: options.cwd ?? ROOT, env: { ...process.env, ...options.env } })
  if (!done.success) throw new Error(`${command.join(' ')} failed:\n${done.stdout}${done.stderr}`)
  return done.stdout.toString()
}

function engine(): string | undefined {
  return ['docker', 'podman'].find(
    (name) => Bun.which(name) && Bun.spawnSync([name, 'info']).success && isRunning(name),
  )
}

/** `docker info` succeeds without an engine: only the server's version tells. */
function isRunning(name: string): boolean {
  const format = name === 'docker' ? '{{.ServerVersion}}' : '{{.Version.Version}}'
  return /\d/.test(Bun.spawnSync([name, 'info', '--format', format]).stdout.toString())
}

/** What `.dockerignore` lets through, a list of names after `*`. */
function context(): Set<string> {
  const lines = readFileSync(`${ROOT}.dockerignore`, 'utf8').split('\n')
  return new Set(lines.filter((line) => line.startsWith('!')).map((line) => line.slice(1)))
}

/** Copies what a COPY names, as far as git tracks it: what only lies in this folder is in nobody's clone. */
function copy(rest: string, folder: string): void {
  const sources = rest.split(/\s+/).slice(0, -1)
  for (const source of sources) expect(context()).toContain(source)
  for (const file of run(['git', 'ls-files', '-z', '--', ...sources])
    .split('\0')
    .filter(Boolean)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    cpSync(join(ROOT, file), join(folder, file))
  }
}

/** Executes the build stage's COPY and RUN in an empty folder, and returns what the binary says of its version. */
function buildWithoutEngine(folder: string): string {
  const args: Record<string, string> = {}
  for (const { name, rest } of buildStage(readDockerfile())) {
    if (name === 'COPY') copy(rest, folder)
    if (name === 'ARG') args[rest.split('=')[0] ?? ''] = COMMIT
    if (name === 'RUN') run(['sh', '-c', rest], { cwd: folder, env: args })
  }
  return run([join(folder, 'dist/tidings'), '--version'], { cwd: folder })
}

function buildWithEngine(name: string): string {
  const tag = `tidings-test:${process.pid}`
  run([name, 'build', '--build-arg', `TIDINGS_COMMIT=${COMMIT}`, '-t', tag, '.'])
  try {
    return run([name, 'run', '--rm', tag, '--version'])
  } finally {
    run([name, 'rmi', tag])
  }
}

test(
  "the image's steps build a binary from a clean clone, and it names its version and commit",
  () => {
    const found = engine()
    const folder = mkdtempSync(join(tmpdir(), 'tidings-image-'))
    try {
      const said = found ? buildWithEngine(found) : buildWithoutEngine(folder)
      expect(said).toContain(version)
      expect(said).toContain(COMMIT)
    } finally {
      rmSync(folder, { recursive: true })
    }
  },
  TIMEOUT_MS,
)

test('the image runs as a user with a number, keeps its data in a volume, and asks the binary for its health', () => {
  const instructions = readDockerfile()
  const last = (wanted: string): string => instructions.findLast(({ name }) => name === wanted)?.rest ?? ''
  expect(last('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/)
  expect(last('ENV')).toBe('TIDINGS_STORE_PATH=/data/tidings.db')
  expect(last('VOLUME')).toBe('/data')
  expect(last('EXPOSE')).toBe('3000')
  expect(last('HEALTHCHECK')).toEndWith('CMD ["/usr/local/bin/tidings", "health"]')
  expect(last('ENTRYPOINT')).toBe('["tidings"]')
  expect(last('CMD')).toBe('["serve"]')
})
