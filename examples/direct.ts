/**
 * Messages from user to user, in a terminal.
 *
 *   TOKEN=… node_modules/.bin/bun examples/direct.ts              prints what others send to you
 *   TOKEN=… node_modules/.bin/bun examples/direct.ts bob hello    sends hello to all devices of bob
 */
const address = process.env.REALTIME_URL ?? 'ws://127.0.0.1:3000/realtime'
const token = process.env.TOKEN
const [to, ...words] = process.argv.slice(2)
if (!token) throw new Error('TOKEN is not set: tidings token --user NAME prints one')

const socket = new WebSocket(address, ['tidings.v1.json', `token.${token}`])

socket.onmessage = ({ data }) => {
  const { type, payload, sender } = JSON.parse(data)
  if (type === 'welcome') begin(payload.user_id)
  if (type === 'direct') console.log(`${sender.user_id}: ${payload.text}`)
  if (type === 'ack') {
    // How many connections of bob it was handed to: none means that bob is not there.
    console.log(`handed to ${payload.online} of ${to}'s connections`)
    socket.close(1000)
  }
  if (type === 'error') {
    console.error(`! ${payload.message}`)
    socket.close(1000)
    process.exitCode = 1
  }
}

socket.onclose = ({ code, reason }) => {
  if (code === 1000) return
  console.error(`! the connection ended: ${code} ${reason}`)
  process.exitCode = 1
}

function begin(me: string): void {
  const frame = { type: 'direct', id: '1', to: { user_id: to }, payload: { text: words.join(' ') } }
  if (to === undefined) console.log(`* listening as ${me}`)
  else socket.send(JSON.stringify(frame))
}
