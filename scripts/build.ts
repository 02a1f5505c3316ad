/**
 * `bun run build [--target=bun-linux-arm64] [--outfile=FILE]`: one binary that needs nothing beside it.
 * `TIDINGS_VERSION` and `TIDINGS_COMMIT` become constants in it.
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { version } from '../package.json'
import { ROOT } from './stages.ts'

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    target: { type: 'string' },
    outfile: { type: 'string', default: 'dist/tidings' },
    entry: { type: 'string', default: 'src/main.ts' },
  },
})

/** The commit that is built: given from outside where there is no repository (an image), else git's. */
function commit(): string {
  if (process.env.TIDINGS_COMMIT) return process.env.TIDINGS_COMMIT
  const git = (...args: string[]): string =>
    Bun.spawnSync(['git', ...args], { cwd: ROOT })
      .stdout.toString()
      .trim()
  const head = git('rev-parse', '--short=12', 'HEAD')
  if (head === '') return 'unknown'
  return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}-dirty`
}

const outfile = resolve(ROOT, values.outfile)
mkdirSync(dirname(outfile), { recursive: true })
const folder = mkdtempSync(join(dirname(outfile), '.build-'))

const command = [
  process.execPath,
  'build',
  values.entry,
  '--compile',
  `--outfile=${join(folder, basename(outfile))}`,
  // Without it, libraries are told that they run in development.
  '--production',
  '--minify',
  // Line numbers in stack traces.
  '--sourcemap',
  // From start to listening in a quarter of the time. It needs the format spelled out.
  '--bytecode',
  // What a command does not need is not even read: a third of the time of a start.
  '--splitting',
  '--format=esm',
  // A server started in a folder that others can write to must not run or read what lies there.
  '--no-compile-autoload-bunfig',
  '--no-compile-autoload-dotenv',
  `--define=TIDINGS_VERSION=${JSON.stringify(version)}`,
  `--define=TIDINGS_COMMIT=${JSON.stringify(commit())}`,
  ...(values.target ? [`--target=${values.target}`] : []),
]

const built = Bun.spawnSync(command, {
  cwd: ROOT,
  // Whatever is set here is what the binary believes for ever, even with --production: a test's "test", say.
  env: { ...process.env, NODE_ENV: 'production' },
  stdio: ['ignore', 'inherit', 'inherit'],
})
if (built.success) renameSync(join(folder, basename(outfile)), outfile)
// The maps of what it was put together from are in the binary, too.
rmSync(folder, { recursive: true })
process.exit(built.exitCode)
