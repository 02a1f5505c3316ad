/**
 * Writes down what is said in a room and misses nothing: it keeps its position in a file, and goes on from there after a
 * cut, a restart of the server, or one of its own.
 *
 *   TOKEN=… node_modules/.bin/bun examples/resume.ts meeting:1 position.txt
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'

const address = process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime'
const token = process.env.TOKEN
const [room = 'meeting:1', file = 'position.txt'] = process.argv.slice(2)
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

/** Everything up to here has been written down. */
let cursor = existsSync(file) ? readFileSync(file, 'utf8') : ''
/** Attempts that failed in a row. */
let failures = 0
/** The last error that the server said, and when it wants us back. */
let refusal: { error_code: string; reconnect: boolean; retry_after_ms?: number } | undefined
let backAfter: number | undefined

connect()

function connect(): void {
  const query = new URLSearchParams({ rooms: room, ...(cursor !== '' && { cursor }) })
  const socket = new WebSocket(`${address}?${query}&close_reason=1`, ['tidings.v1.json', `token.${token}`])
  socket.onmessage = ({ data }) => take(JSON.parse(data))
  socket.onclose = ({ code, reason }) => comeBack(code, reason)
}

// biome-ignore lint/suspicious/noExplicitAny: a frame's payload is whatever others send.
function take({ type, payload, sender, cursor: position, history }: Record<string, any>): void {
  switch (type) {
    case 'welcome':
      failures = 0
      for (const { since } of payload.resume.gaps) console.log(`* something may be missing since ${since}`)
      console.log(`* in ${room}, ${payload.resume.replayed} to catch up on`)
      break
    case 'error':
      refusal = payload
      console.error(`! ${payload.message}`)
      break
    case 'server_draining':
      backAfter = payload.reconnect_after_ms
      break
    case 'chat':
      console.log(`${sender.user_id}: ${payload.text}`)
      break
  }
  // After the message was written down: a crash in between brings it again, and loses nothing.
  if (position !== undefined && !history) {
    cursor = position
    writeFileSync(file, cursor)
  }
}

function comeBack(code: number, reason: string): void {
  console.error(`! the connection ended: ${code} ${reason}`)
  // The close is about that error where its reason is the error's name.
  const why = refusal?.error_code === reason ? refusal : undefined
  if (why?.reconnect === false) process.exit(1)
  const bound = Math.min(60_000, 1000 * 2 ** failures++)
  setTimeout(connect, backAfter ?? why?.retry_after_ms ?? Math.random() * bound)
  backAfter = undefined
}
