/**
 * `bun run faults -- [--only 1,3,redis-killed] [--long] [--seed N] [--times N]`: breaks the compiled binary in every way that
 * a promise speaks of, and prints the accounts. `--only` takes the numbers of promises, or faults by the names of their
 * files. `--long` is the size that the promise names; the tests run the short one.
 */
import { parseArgs } from 'node:util'
import { FAULTS, type NamedFault } from '../test/faults/all.ts'
import { Chance, type Progress, Skipped } from '../test/faults/fault.ts'

/** Milliseconds between two words of how far a fault has come. */
const TELL_EVERY_MS = 10_000

/** Says from time to time how far a fault has come, also where that is no further than before. */
class Telling implements Disposable {
  private reached = 'begins'
  private readonly timer: ReturnType<typeof setInterval>

  constructor(began: number) {
    this.timer = setInterval(() => console.log(`   ${secondsSince(began)} s: ${this.reached}`), TELL_EVERY_MS)
  }

  readonly progress: Progress = (reached) => {
    this.reached = reached
  };

  [Symbol.dispose](): void {
    clearInterval(this.timer)
  }
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    only: { type: 'string' },
    long: { type: 'boolean', default: false },
    seed: { type: 'string' },
    times: { type: 'string', default: '1' },
  },
})

const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0])
let failed = 0

for (const { name, fault } of chosen(values.only)) {
  for (let time = 0; time < Number(values.times); time++) {
    const chance = new Chance(seed + time)
    console.log(`\n${fault.number}. ${fault.title} (${name}, seed ${chance.seed})`)
    const began = performance.now()
    using telling = new Telling(began)
    try {
      const figures = await fault.run(values.long ? fault.long : fault.short, chance, telling.progress)
      for (const [name, value] of Object.entries(figures)) console.log(`   ${name.padEnd(28)} ${value}`)
      console.log(`   holds, ${secondsSince(began)} s`)
    } catch (error) {
      if (error instanceof Skipped) {
        console.log(`   skipped: ${error.message}`)
        continue
      }
      failed++
      console.log(`   DOES NOT HOLD: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
      console.log(`   after ${secondsSince(began)} s`)
    }
  }
}
process.exit(failed === 0 ? 0 : 1)

/** @throws Error where something is named that no fault is: nothing tried is nothing that holds. */
function chosen(only: string | undefined): readonly NamedFault[] {
  if (only === undefined) return FAULTS
  const isNamed = (wanted: string, { name, fault }: NamedFault) => wanted === name || Number(wanted) === fault.number
  const wanted = only.split(',')
  for (const each of wanted) {
    if (!FAULTS.some((fault) => isNamed(each, fault))) {
      throw new Error(
        `no fault is called ${each}: ${FAULTS.map(({ name, fault }) => `${fault.number} ${name}`).join(', ')}`,
      )
    }
  }
  return FAULTS.filter((fault) => wanted.some((each) => isNamed(each, fault)))
}

function secondsSince(began: number): string {
  return ((performance.now() - began) / 1000).toFixed(1)
}
