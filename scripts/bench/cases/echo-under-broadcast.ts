import type { Case, Measured } from '../case.ts'
import { echoes } from '../echoes.ts'
import { MESSAGE } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'

const MEMBERS = 10_000
const BROADCAST_EVERY_MS = 250

/** The members and the broadcasts. */
async function run(load: Load): Promise<Measured> {
  await load.warmUp()
  const clients = await load.open(MEMBERS + 1, { rooms: () => ['bench'] })
  const [sender] = clients
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, 'bench', 1)
  let delivered = 0
  let bytes = 0
  let broadcasts = 0
  let startedAt = 0
  const last: number[] = []
  load.onFrame = (_, signature, size) => {
    if (signature !== MESSAGE) return
    bytes = size
    if (++delivered % MEMBERS === 0) last.push(performance.now() - startedAt)
  }

  await load.settle()
  const broadcast = (): void => {
    broadcasts++
    startedAt = performance.now()
    publisher.send(1)
  }
  const timer = setInterval(broadcast, BROADCAST_EVERY_MS)
  const measured = await load.measure(() => load.assistant(), 'the echoes')
  clearInterval(timer)
  return { ...measured, last_ms: last, broadcasts, frame_bytes: bytes }
}

async function assist(load: Load): Promise<Measured> {
  return await echoes(load, () => Bun.sleep(load.size(8000, 3000)))
}

export const echoUnderBroadcast: Case = {
  name: 'echo-under-broadcast',
  title: 'echo while four messages a second go to 10,000 members',
  metrics: [
    { key: 'echo_ms', quantile: 0.5, title: 'round trip, p50', unit: 'ms', better: 'less' },
    { key: 'echo_ms', quantile: 0.95, title: 'round trip, p95', unit: 'ms', better: 'less', target: { ratio: 10 } },
    { key: 'echo_ms', quantile: 0.99, title: 'round trip, p99', unit: 'ms', better: 'less' },
    { key: 'last_ms', quantile: 0.5, title: 'broadcast to the last member, p50', unit: 'ms', better: 'less' },
  ],
  run,
  assist,
}
