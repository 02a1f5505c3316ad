/** Writes until it is much more than a write-ahead log may hold. Also a program: with a path as its argument it opens a store. */
import { statSync } from 'node:fs'
import { openStore } from '../../../../src/backends/embedded/log/store.ts'
import type { MessageLog } from '../../../../src/core/ports/log.ts'
import { entry, testOptions } from './support.ts'

const BODY = 'x'.repeat(10_000)
const LANES = 50
const retention = { maxMessages: 100, maxAgeMs: 3_600_000 }

export interface Written {
  /** Bytes of messages. */
  readonly written: number
  /** Bytes of the write-ahead log when it was largest. */
  readonly largestLog: number
}

export async function writeMuch(messages: MessageLog, path: string, bytes = 400_000_000): Promise<Written> {
  let written = 0
  let largestLog = 0
  async function lane(topic: string): Promise<void> {
    while (written < bytes) {
      written += BODY.length
      await messages.append(entry(topic, BODY, { retention }))
      if (written % (100 * BODY.length) === 0) largestLog = Math.max(largestLog, statSync(`${path}-wal`).size)
    }
  }
  await Promise.all(Array.from({ length: LANES }, (_, n) => lane(`room:${n}`)))
  return { written, largestLog }
}

if (import.meta.main) {
  const path = process.argv[2] ?? ''
  const { close, messages } = openStore(testOptions(path))
  const written = await writeMuch(messages, path)
  console.log(JSON.stringify({ ...written, failing: messages.failing ?? null }))
  await close()
}
