/** Each fault in its short form, against the compiled binary. `bun run faults -- --long` is the size that is promised. */
import { setDefaultTimeout, test } from 'bun:test'
import { FAULTS } from './all.ts'
import { Chance, Skipped } from './fault.ts'

setDefaultTimeout(120_000)

/** The same chance again: `TIDINGS_TEST_SEED=1 bun test test/faults`. */
const seed = Number(process.env['TIDINGS_TEST_SEED'] ?? crypto.getRandomValues(new Uint32Array(1))[0])

for (const { fault } of FAULTS) {
  test(`${fault.title} (fault ${fault.number}, seed ${seed})`, async () => {
    try {
      await fault.run(fault.short, new Chance(seed), () => {})
    } catch (error) {
      if (!(error instanceof Skipped) || process.env['CI'] === 'true') throw error
      console.warn(`skipped: fault ${fault.number}, ${error.message}`)
    }
  })
}
