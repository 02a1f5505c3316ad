/**
 * A device that gets everything that is sent to its user, also what was sent while it was away: each message is appended to
 * a file, and acknowledged when it is in there.
 *
 *   TOKEN=… node_modules/.bin/bun examples/inbox.ts phone messages.txt
 */
import { appendFileSync } from 'node:fs'
import { TidingsClient } from 'tidings/client'

const url = process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime'
const token = process.env.TOKEN
const [deviceId = 'phone', file = 'messages.txt'] = process.argv.slice(2)
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const device = new TidingsClient({ url, token, deviceId })

device.on('direct', ({ text }: { text: string }, { sender }) => {
  appendFileSync(file, `${sender?.userId}: ${text}\n`)
})
device.on('gap', () => console.log('* the inbox was full or too old: something is missing'))
device.onState(({ state, error }) => console.log(error === undefined ? `* ${state}` : `* ${state}: ${error.message}`))

await device.connect()
