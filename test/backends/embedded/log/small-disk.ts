/**
 * Mounts a file system of 4 MiB on the folder argv[2], fills it with messages, gives it more room, and prints what became
 * of the messages. Needs the right to mount.
 */
import { join } from 'node:path'
import { openStore } from '../../../../src/backends/embedded/log/store.ts'
import { TidingsError } from '../../../../src/protocol/errors.ts'
import { entry, type Line, testOptions } from './support.ts'

const folder = process.argv[2] ?? ''
const path = join(folder, 'tidings.db')
const lines: Line[] = []

function mount(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(['mount', ...args])
  if (exitCode !== 0) throw new Error(`mount ${args.join(' ')}: ${stderr}`)
}

mount('-t', 'tmpfs', '-o', 'size=4m', 'none', folder)
const store = openStore(testOptions(path, lines))
const { messages } = store

const body = 'x'.repeat(50_000)
const acknowledged: number[] = []
let refusal: unknown
while (refusal === undefined) {
  const appended = await messages.append(entry('room:r', body)).catch((error) => error)
  if (appended instanceof TidingsError) refusal = appended
  else acknowledged.push(appended.cursor)
}
const failing = messages.failing
const read = await messages.read({ topics: ['room:r'] }, 0, messages.head(), 1000)

mount('-o', 'remount,size=64m', folder)
const after = await messages.append(entry('room:r', body)).then(
  () => 'stored',
  (error) => String(error),
)
const failingThen = messages.failing ?? null
await store.close()

mount('-o', 'remount,ro', folder)
let onReadOnlyDisk = 'opened'
try {
  openStore(testOptions(path))
} catch (error) {
  onReadOnlyDisk = /it is read-only/.exec(String(error))?.[0] ?? String(error)
}

console.log(
  JSON.stringify({
    refusal: refusal instanceof TidingsError && { errorName: refusal.errorName, retryAfterMs: refusal.retryAfterMs },
    failing,
    acknowledgedAndRead: JSON.stringify(acknowledged) === JSON.stringify(read.map(({ cursor }) => cursor)),
    afterMoreRoom: after,
    failingThen,
    events: lines.map(({ event }) => event),
    onReadOnlyDisk,
  }),
)
