/**
 * The baseline: what Bun's own publish/subscribe gives with nothing around it, saying the same bytes. It parses no
 * frame, checks no token and knows no user; a member's frame is published to its room, anybody else's is answered.
 */

import type { ServerWebSocket } from 'bun'
import type { Templates } from './templates.ts'

interface Data {
  rooms: string[]
  /** For information: parse and stringify what a real server has to. */
  json: boolean
}

const { port, templates } = JSON.parse(process.argv[2] ?? '{}') as { port: number; templates: Templates }

Bun.serve<Data>({
  hostname: '127.0.0.1',
  port,
  fetch(request, server) {
    const query = new URL(request.url).searchParams
    const rooms = query.get('rooms')?.split(',') ?? []
    if (server.upgrade(request, { data: { rooms, json: query.has('json') } })) return
    return new Response('ready')
  },
  websocket: {
    open(ws) {
      for (const room of ws.data.rooms) ws.subscribe(room)
      ws.send(templates.welcome)
    },
    message(ws, message) {
      const room = ws.data.rooms[0]
      if (room !== undefined) {
        ws.publish(room, templates.message)
        acknowledge(ws)
      } else if (ws.data.json) echoJson(ws, String(message))
      else ws.send(templates.pong)
    },
  },
})

/**
 * Acknowledgements wait for the turn's end: a send between two publishes flushes what the first has gathered, and
 * would cost the baseline an eighth of its deliveries.
 */
function acknowledge(ws: ServerWebSocket<Data>): void {
  if (owed.size === 0) setImmediate(payOwed)
  owed.set(ws, (owed.get(ws) ?? 0) + 1)
}

const owed = new Map<ServerWebSocket<Data>, number>()

function payOwed(): void {
  for (const [ws, count] of owed) {
    ws.cork(() => {
      for (let i = 0; i < count; i++) ws.send(templates.ack)
    })
  }
  owed.clear()
}

function echoJson(ws: ServerWebSocket<Data>, message: string): void {
  const { payload } = JSON.parse(message)
  const { payload: pong, ...rest } = PONG
  ws.send(JSON.stringify({ ...rest, payload: { ...pong, echo: payload } }))
}

const PONG = JSON.parse(templates.pong) as { payload: Record<string, unknown> }
