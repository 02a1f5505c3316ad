import { FaultProxy } from '../kit/fault-proxy.ts'
import { until } from '../support/until.ts'
import { type Fault, must } from './fault.ts'
import { Hearing } from './hearing.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly intervalMs: number
  readonly timeoutMs: number
}

/** What went on when the network fell silent. */
const CASES = ['quiet', 'chatty server', 'chatty client'] as const

/** A sweep looks once a second at most, and a busy machine is late. */
const LATE_MS = 1500

export const deadPeers: Fault<Size> = {
  number: 14,
  title: 'a peer behind a network that swallows everything is found in time, whoever is talking, and leaves once',
  short: { intervalMs: 500, timeoutMs: 2000 },
  long: { intervalMs: 25_000, timeoutMs: 60_000 },

  async run({ intervalMs, timeoutMs }) {
    await using server = await FaultServer.start({
      config: { heartbeat: { interval_ms: intervalMs, timeout_ms: timeoutMs } },
    })
    await using cleanup = new AsyncDisposableStack()
    const left = new Map<string, number[]>()
    const watcher = await Hearing.open('websocket', {
      url: server.url,
      token: await server.token({ user: 'watcher' }),
      query: { rooms: CASES.map((name) => roomOf(name)).join(',') },
      onFrame: ({ type, payload }) => {
        if (type !== 'user_left_room') return
        const { id } = (payload as { user: { id: string } }).user
        left.set(id, [...(left.get(id) ?? []), performance.now()])
      },
    })
    cleanup.defer(() => watcher.cut())

    const stop = new AbortController()
    const talking: Promise<void>[] = []
    const silent = new Map<string, number>()
    for (const name of CASES) {
      const proxy = cleanup.use(await FaultProxy.start(server.url))
      const peer = await Hearing.open('websocket', {
        url: proxy.url,
        token: await server.token({ user: name }),
        query: { rooms: roomOf(name) },
      })
      cleanup.defer(() => peer.cut())
      if (name === 'chatty server') talking.push(publish(server, roomOf(name), stop.signal))
      if (name === 'chatty client') talking.push(chat(peer, stop.signal))
      await until(() => peer.frames.length > 0)
      silent.set(name, performance.now())
      proxy.set({ blackHole: 'both' })
    }
    const deadline = performance.now() + timeoutMs + LATE_MS
    while (CASES.some((name) => !left.has(name))) {
      must(performance.now() < deadline, `found within ${timeoutMs} ms: ${[...left.keys()]} alone`)
      await Bun.sleep(20)
    }
    stop.abort()
    await Promise.all(talking)
    await watcher.ask({ type: 'ping' })
    for (const [name, times] of left) must(times.length === 1, `${name} left ${times.length} times`)
    const found = CASES.map((name) => [
      `${name.replace(' ', '_')}_ms`,
      Math.round((left.get(name)?.[0] ?? 0) - (silent.get(name) ?? 0)),
    ])
    must((await server.status()).connections === 1, 'somebody is left')
    return Object.fromEntries(found)
  },
}

function roomOf(name: string): string {
  return name.replace(' ', '-')
}

async function publish(server: FaultServer, room: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const body = { to: { room }, type: 'note', payload: 'x'.repeat(100) }
    await server.admin('/realtime/publish', { method: 'POST', body })
    await Bun.sleep(50)
  }
}

async function chat(peer: Hearing, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    peer.say({ type: 'ping' })
    await Bun.sleep(50)
  }
}
