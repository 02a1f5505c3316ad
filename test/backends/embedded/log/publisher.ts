/** A process that stores messages in the store at argv[2] and prints a line for each acknowledgement, until it is killed. */
import { writeSync } from 'node:fs'
import { openStore } from '../../../../src/backends/embedded/log/store.ts'
import { entry, testOptions } from './support.ts'

const durability = process.argv[3] === 'full' ? 'full' : 'process'
const { messages } = openStore({ ...testOptions(process.argv[2] ?? ''), durability })
const retention = { maxMessages: 1_000_000, maxAgeMs: 3_600_000 }

async function publish(lane: number): Promise<never> {
  for (let n = 0; ; n++) {
    const key = `${process.pid}-${lane}-${n}`
    const { cursor, id } = await messages.append(
      entry(`room:${lane % 2}`, 'x'.repeat(200), {
        id: `m-${key}`,
        retention,
        idempotency: { scope: 'publisher', key },
      }),
    )
    // Out of the process before anything else happens: what was printed was acknowledged.
    writeSync(1, `${JSON.stringify({ key, cursor, id })}\n`)
  }
}

for (let lane = 0; lane < 20; lane++) void publish(lane)
