import { closing, frame, OPCODE, RawSocket, requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { type Fault, must, none } from './fault.ts'
import { Hearing, TRANSPORTS, type Transport } from './hearing.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Connections that come and go, over each transport. */
  readonly cycles: number
  readonly atOnce: number
  /** Bytes that a connection which is gone may have left behind; absent: too few are tried to say. */
  readonly leftBytes?: number
}

/** Milliseconds without a poll after which its client counts as gone: short, so that what polls leave can be seen. */
const POLL_GRACE_MS = 300

/** How a connection ends. */
const ENDS = {
  /** As the transport would have it. */
  clean: (raw: RawSocket, transport: Transport) => {
    if (transport === 'websocket') raw.write(frame(OPCODE.close, closing(1000)))
    else raw.finish()
  },
  finished: (raw: RawSocket) => raw.finish(),
  reset: (raw: RawSocket) => raw.reset(),
}

export const churn: Fault<Size> = {
  number: 13,
  title: 'connections that come and go in every way leave nothing behind, and the others hear of each once',
  short: { cycles: 400, atOnce: 20 },
  long: { cycles: 100_000, atOnce: 50, leftBytes: 300 },

  async run({ cycles, atOnce, leftBytes }, chance) {
    await using server = await FaultServer.start({
      config: { session: { resume_ms: 0 }, store: { idempotency_ms: 0 }, poll: { grace_ms: POLL_GRACE_MS } },
    })
    const users = 10
    const tokens = await Promise.all(Array.from({ length: users }, (_, n) => server.token({ user: `u${n}` })))
    const presence = new Presence()
    const watcher = await Hearing.open('websocket', {
      url: server.url,
      token: await server.token({ user: 'watcher' }),
      query: { rooms: 'lobby' },
      onFrame: (said) => presence.hear(said),
    })
    const isQuiet = async () => {
      const { connections, users, rooms } = await server.status()
      return connections === 1 && users === 1 && rooms === 1
    }

    const one = async (transport: Transport, n: number): Promise<void> => {
      using raw = await RawSocket.open(server.url)
      const kind = chance.below(10)
      // Never says who it is, or not all of it.
      if (kind === 0) return
      const token = kind === 1 ? 'nobody' : tokens[chance.below(users)]
      const query = `token=${token}&device_id=d${n % 50}&rooms=lobby,own-${n}`
      const plain = { upgrade: undefined, connection: undefined }
      const head = {
        websocket: requestHead(`/realtime?${query}`),
        sse: requestHead(`/realtime/sse?${query}`, { ...plain, accept: 'text/event-stream' }),
        poll: requestHead(`/realtime/poll?${query}&timeout=0`, plain),
      }[transport]
      if (kind === 2) {
        raw.write(head.slice(0, chance.below(head.length)))
        return
      }
      raw.write(head)
      // Gone before it is answered.
      if (kind === 3) return
      const { status } = await raw.head()
      if (status === (transport === 'websocket' ? 101 : 200) && chance.below(2) === 0) {
        if (transport === 'websocket') raw.send({ type: 'join_room', id: 'j', payload: { room: `late-${n}` } })
        await Bun.sleep(chance.below(5))
      }
      ENDS[chance.pick(['clean', 'finished', 'reset'] as const)](raw, transport)
    }
    const round = async (count: number): Promise<void> => {
      for (const transport of TRANSPORTS) {
        for (let n = 0; n < count; n += atOnce) {
          await Promise.all(Array.from({ length: atOnce }, (_, k) => one(transport, n + k)))
        }
      }
      await until(isQuiet)
      await watcher.ask({ type: 'ping' })
      presence.mustBeEmpty()
    }

    await round(cycles / 4)
    const descriptors = server.descriptors()
    const before = server.memoryBytes()
    await round(cycles)
    const left = (server.memoryBytes() - before) / (cycles * TRANSPORTS.length)
    await until(() => server.descriptors() <= descriptors + 4)
    if (leftBytes !== undefined) must(left < leftBytes, `each left ${Math.round(left)} bytes behind`)
    must(!watcher.ended, 'the one that stayed was cut off')
    watcher.cut()
    return {
      connections: (cycles + cycles / 4) * TRANSPORTS.length,
      joined: presence.joined,
      descriptors: server.descriptors(),
      left_bytes_each: Math.round(left),
    }
  },
}

/** What a member of the room is told of the others. */
class Presence {
  joined = 0
  private readonly breaches: string[] = []
  private readonly here = new Set<string>()

  hear({ type, payload }: { readonly type: string; readonly payload?: unknown }): void {
    if (type !== 'user_joined_room' && type !== 'user_left_room') return
    const { user } = payload as { user: { id: string } }
    if (type === 'user_joined_room') {
      if (this.here.has(user.id)) this.breaches.push(`${user.id} came twice`)
      this.here.add(user.id)
      this.joined++
    } else if (!this.here.delete(user.id)) {
      this.breaches.push(`${user.id} left and was not there`)
    }
  }

  mustBeEmpty(): void {
    none('the others were told', this.breaches)
    must(this.here.size === 0, `${[...this.here]} never left`)
  }
}
