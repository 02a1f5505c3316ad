/**
 * `bun run faults -- [--only 1,3] [--long] [--seed N] [--times N]`: breaks the compiled binary in every way that a promise speaks of, and
 * prints the accounts. `--long` is the size that the promise names; the tests run the short one.
 */
import { parseArgs } from 'node:util'
import { FAULTS } from '../test/faults/all.ts'
import { Chance, Skipped } from '../test/faults/fault.ts'

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    only: { type: 'string' },
    long: { type: 'boolean', default: false },
    seed: { type: 'string' },
    times: { type: 'string', default: '1' },
  },
})

const only = values.only?.split(',').map(Number)
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0])
let failed = 0

for (const fault of FAULTS) {
  if (only !== undefined && !only.includes(fault.number)) continue
  for (let time = 0; time < Number(values.times); time++) {
    const chance = new Chance(seed + time)
    console.log(`\n${fault.number}. ${fault.title} (seed ${chance.seed})`)
    const began = performance.now()
    try {
      const figures = await fault.run(values.long ? fault.long : fault.short, chance)
      for (const [name, value] of Object.entries(figures)) console.log(`   ${name.padEnd(28)} ${value}`)
      console.log(`   holds, ${((performance.now() - began) / 1000).toFixed(1)} s`)
    } catch (error) {
      if (error instanceof Skipped) {
        console.log(`   skipped: ${error.message}`)
        continue
      }
      failed++
      console.log(`   DOES NOT HOLD: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
    }
  }
}
process.exit(failed === 0 ? 0 : 1)
