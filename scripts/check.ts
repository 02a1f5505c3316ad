/**
 * The one gate, `bun run check`: format and lint, types, what nothing uses, where imports point, the lock file, traces of a machine,
 * and the fast tests. `--static` leaves out the tests.
 */
import packageJson from '../package.json'
import packageLock from '../package-lock.json'
import { checkImports } from './imports.ts'
import { checkLock } from './lock.ts'
import { ROOT, runStages, type Stage } from './stages.ts'
import { checkTraces } from './traces.ts'

/** Tests that start processes, browsers or faults: they belong to `./scripts/test`. */
const SLOW_TESTS = ['test/e2e/**', 'test/faults/**', 'test/browser/**']

export const STATIC_STAGES: readonly Stage[] = [
  { name: 'lint', run: ['biome', 'check', '--error-on-warnings', '--diagnostic-level=warn', '--max-diagnostics=50'] },
  { name: 'types', run: ['tsc', '--project', '.'] },
  { name: 'unused', run: ['knip', '--no-progress'] },
  { name: 'imports', run: () => checkImports(ROOT).map(({ at, message }) => `${at} ${message}`) },
  { name: 'lock', run: () => checkLock(packageJson, packageLock) },
  { name: 'traces', run: () => checkTraces(ROOT) },
]

const FAST_TESTS: Stage = {
  name: 'tests',
  run: [
    'bun',
    'test',
    // As in scripts/run-tests.ts: a busy machine is slow.
    '--timeout=30000',
    '--only-failures',
    '--pass-with-no-tests',
    ...SLOW_TESTS.map((glob) => `--path-ignore-patterns=${glob}`),
  ],
}

if (import.meta.main) {
  const results = await runStages(process.argv.includes('--static') ? STATIC_STAGES : [...STATIC_STAGES, FAST_TESTS])
  process.exit(results.every(({ ok }) => ok) ? 0 : 1)
}
