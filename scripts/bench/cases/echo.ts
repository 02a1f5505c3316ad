import type { Case, Measured } from '../case.ts'
import { clientFrame, PONG } from '../frames.ts'
import type { Load } from '../load.ts'
import { pingFrame } from '../templates.ts'

const CONNECTIONS = 200

async function run(load: Load): Promise<Measured> {
  const clients = await load.open(CONNECTIONS)
  const ping = clientFrame(pingFrame())
  let echoes = 0
  let bytes = 0
  let running = true
  load.onFrame = (client, signature, size) => {
    if (signature !== PONG) return
    echoes++
    bytes = size
    if (running) client.write(ping)
  }

  await load.settle()
  for (const client of clients) client.write(ping)
  await load.until(Bun.sleep(load.size(1500, 700)), 'warm-up')
  const from = echoes
  await load.measure(() => Bun.sleep(load.size(4000, 1500)), 'echoes')
  const done = echoes - from
  running = false
  return { echoes: done / load.usage.seconds, operations: done, frame_bytes: bytes }
}

export const echo: Case = {
  name: 'echo',
  title: `echo, ${CONNECTIONS} connections, one ping in flight on each`,
  metrics: [{ key: 'echoes', title: 'round trips per second', unit: '/s', better: 'more', target: { ratio: 0.7 } }],
  variants: { 'bare Bun with JSON': 'json=1' },
  run,
}
