/**
 * Everything that must hold, for `./scripts/test` and CI: the binary is built, the gate's static stages pass, all tests
 * pass, and at least COVERAGE_THRESHOLD percent of the lines of `src/` ran. Ends with "N passed, N failed".
 * With arguments it only builds and hands them to `bun test`: some of the tests cannot cover all of the code.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { STATIC_STAGES } from './check.ts'
import { addUnloaded, COVERAGE_THRESHOLD, percentOf, readLcov } from './coverage.ts'
import { Failures } from './failures.ts'
import { ROOT, runStages } from './stages.ts'
import { formatTotals, readTotals } from './totals.ts'

const REPORTS = 'coverage'

async function runTests(args: readonly string[]): Promise<{ exitCode: number; failures: readonly string[] }> {
  const child = Bun.spawn(
    [
      process.execPath,
      'test',
      // Tests wait for conditions, and a busy machine is slow: what hangs is still found, only later.
      '--timeout=30000',
      '--coverage',
      '--coverage-reporter=lcov',
      `--coverage-dir=${REPORTS}`,
      '--reporter=junit',
      `--reporter-outfile=${REPORTS}/junit.xml`,
      ...args,
    ],
    {
      cwd: ROOT,
      stdio: ['ignore', 'inherit', 'pipe'],
      env: { ...process.env, ...(process.stderr.isTTY && { FORCE_COLOR: '1' }) },
    },
  )
  const failures = new Failures()
  const decoder = new TextDecoder()
  // The runner writes all of its report to stderr.
  for await (const chunk of child.stderr) {
    process.stderr.write(chunk)
    failures.take(decoder.decode(chunk, { stream: true }))
  }
  return { exitCode: await child.exited, failures: failures.found }
}

async function coverageHolds(): Promise<boolean> {
  const lcov = Bun.file(`${ROOT}${REPORTS}/lcov.info`)
  const loaded = readLcov((await lcov.exists()) ? await lcov.text() : '')
  const files = addUnloaded(ROOT, loaded)
  const percent = percentOf(files)
  const unloaded = files.filter(({ file }) => !loaded.some((known) => known.file === file))
  for (const { file, lines } of unloaded) console.log(`never loaded by a test: ${file} (${lines} lines)`)
  for (const file of loaded) {
    const share = percentOf([file])
    if (share < COVERAGE_THRESHOLD) console.log(`${share.toFixed(0)} % of the lines of ${file.file}`)
  }
  console.log(`line coverage of src/: ${percent.toFixed(2)} % (at least ${COVERAGE_THRESHOLD} %)`)
  return percent >= COVERAGE_THRESHOLD
}

const args = process.argv.slice(2)
const complete = args.length === 0
rmSync(`${ROOT}${REPORTS}`, { recursive: true, force: true })
mkdirSync(`${ROOT}${REPORTS}`, { recursive: true })

// The build first and alone: tests start what it makes.
const before = await runStages([{ name: 'build', run: ['bun', 'scripts/build.ts'] }])
if (complete) before.push(...(await runStages(STATIC_STAGES)))
const { exitCode, failures: failedTests } = await runTests(args)

const failures = before.filter(({ ok }) => !ok).map(({ name }) => name)
if (complete && !(await coverageHolds())) failures.push('coverage')
// At the end, where it is read first: a test's own report may be thousands of lines up.
for (const failed of failedTests) console.log(`\n${failed}`)
if (failures.length > 0) console.log(`failed besides tests: ${failures.join(', ')}`)

const junit = Bun.file(`${ROOT}${REPORTS}/junit.xml`)
const totals = readTotals((await junit.exists()) ? await junit.text() : '', exitCode, failures.length)
const summary = formatTotals(totals)
writeFileSync(`${ROOT}${REPORTS}/summary`, `${summary}\n`)
console.log(summary)
process.exit(exitCode !== 0 ? exitCode : totals.failed > 0 ? 1 : 0)
