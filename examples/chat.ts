/**
 * Chat in a room, in a terminal: prints what others say and sends what you type.
 *
 *   TOKEN=… node_modules/.bin/bun examples/chat.ts [ROOM]
 */
import { createInterface } from 'node:readline'

const address = process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime'
const token = process.env.TOKEN
const room = process.argv[2] ?? 'lobby'
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const socket = new WebSocket(`${address}?rooms=${room}`, ['tidings.v1.json', `token.${token}`])
/** Ids of what was sent and is not answered yet. */
const unanswered = new Set<string>()
let typed = false
let said = 0

socket.onmessage = ({ data }) => {
  const { type, payload, sender, correlation_id } = JSON.parse(data)
  switch (type) {
    case 'welcome':
      for (const { participant_count } of payload.rooms) console.log(`* you are in ${room}, ${participant_count} here`)
      listen()
      break
    case 'chat':
      console.log(`${sender.username ?? sender.user_id}: ${payload.text}`)
      break
    case 'user_joined_room':
    case 'user_left_room':
      console.log(`* ${payload.message}, ${payload.participant_count} here`)
      break
    case 'ack':
      answered(correlation_id)
      break
    case 'error':
      console.error(`! ${payload.message}`)
      answered(correlation_id)
      break
  }
}

socket.onclose = ({ code, reason }) => {
  if (code !== 1000) console.error(`! the connection ended: ${code} ${reason}`)
  process.exit(code === 1000 ? 0 : 1)
}

function listen(): void {
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (text) => {
    const id = String(++said)
    unanswered.add(id)
    socket.send(JSON.stringify({ type: 'chat', id, to: { room }, payload: { text } }))
  })
  lines.on('close', () => {
    typed = true
    leaveWhenDone()
  })
}

function answered(id: string): void {
  unanswered.delete(id)
  leaveWhenDone()
}

/** Leaves after the last line was acknowledged, so that none is lost on the way out. */
function leaveWhenDone(): void {
  if (typed && unanswered.size === 0) socket.close(1000)
}
