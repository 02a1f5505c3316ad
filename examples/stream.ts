/**
 * What is said in a room, in a terminal, over an event stream. In a page leave the import out: browsers have EventSource.
 *
 *   TOKEN=… node_modules/.bin/bun examples/stream.ts [ROOM] [WORDS TO SAY FIRST]
 */
import { EventSource } from 'eventsource'

const address = (process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime').replace(/^ws/, 'http')
const token = process.env.TOKEN
const [room = 'lobby', ...words] = process.argv.slice(2)
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
let position = ''
let connectionId = ''

/** Opens a stream. EventSource comes back by itself after a cut, to the same address, with the id of the last event. */
async function open(): Promise<void> {
  const answer = await fetch(`${address}/ticket`, { method: 'POST', headers })
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`)
  const { ticket } = await answer.json()
  const query = new URLSearchParams({ ticket, rooms: room, ...(position && { cursor: position }) })
  const source = new EventSource(`${address}/sse?${query}`)
  source.onmessage = ({ data, lastEventId }) => {
    position = lastEventId
    hear(JSON.parse(data))
  }
  source.onerror = () => {
    // Any answer but 200 ends it for good, also one that another try could change: then begin again, with a new ticket.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => open().catch(fail), 1000 + Math.random() * 4000)
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a frame is what its type says.
function hear({ type, payload, sender }: any): void {
  if (type === 'welcome') {
    console.log(`* ${connectionId === '' ? 'listening to' : 'back in'} ${room}`)
    connectionId = payload.connection_id
    if (words.length > 0) say(words.splice(0).join(' ')).catch(fail)
  } else if (type === 'chat') console.log(`${sender.username ?? sender.user_id}: ${payload.text}`)
  else if (type === 'error') console.error(`! ${payload.message}`)
}

/** What a client has to say goes by POST, in the name of its stream. */
async function say(text: string): Promise<void> {
  const frame = { connection_id: connectionId, type: 'chat', id: crypto.randomUUID(), to: { room }, payload: { text } }
  const answer = await fetch(`${address}/send`, { method: 'POST', headers, body: JSON.stringify(frame) })
  if (!answer.ok) throw new Error((await answer.json()).error.message)
  console.log('* said')
}

function fail(error: unknown): never {
  console.error(`! ${error}`)
  process.exit(1)
}

open().catch(fail)
