/**
 * What is said in a room, in a terminal, by long polling: plain requests, for where nothing else gets through.
 *
 *   TOKEN=… node_modules/.bin/bun examples/poll.ts [ROOM]
 */
const address = (process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime').replace(/^ws/, 'http')
const token = process.env.TOKEN
const room = process.argv[2] ?? 'lobby'
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const headers = { authorization: `Bearer ${token}` }
/** What the next poll brings: the rooms for a new session, the session and the position for one that goes on. */
const query = new URLSearchParams({ rooms: room, timeout: '25' })
let failures = 0

for (;;) {
  const answer = await fetch(`${address}/poll?${query}`, { headers }).catch(() => undefined)
  if (answer?.ok) {
    const { connection_id, cursor, messages } = await answer.json()
    query.set('connection_id', connection_id)
    query.set('cursor', cursor)
    failures = 0
    for (const message of messages) await hear(message)
  } else {
    const { error } = answer === undefined ? { error: { reconnect: true } } : await answer.json()
    if (!error.reconnect) throw new Error(error.message)
    // Twice as long after each failure, up to half a minute, and never at the same moment as everybody else.
    await sleep(error.retry_after_ms ?? Math.random() * Math.min(30_000, 1000 * 2 ** failures++))
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a frame is what its type says.
async function hear({ type, payload, sender }: any): Promise<void> {
  if (type === 'welcome') console.log(`* listening to ${room}`)
  else if (type === 'chat') console.log(`${sender.username ?? sender.user_id}: ${payload.text}`)
  else if (type === 'gap') console.log('* something may be missing')
  else if (type === 'server_draining') await sleep(payload.reconnect_after_ms)
  else if (type === 'error') console.error(`! ${payload.message}`)
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export {}
