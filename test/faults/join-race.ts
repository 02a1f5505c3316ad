import type { Frame } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'
import { Ledger } from './accounting.ts'
import { type Fault, must, percentile } from './fault.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly joins: number
  readonly perSecond: number
  /** Clients that join at the same time. */
  readonly clients: number
}

/** Messages by which a join may look back. */
const LOOK_BACK = 600
/** Messages that have to come live after a join before it counts. */
const LIVE = 3

/**
 * A publisher that counts, one frame a millisecond; so whatever a joiner gets must be one number after the other, from the
 * cursor it names to the live ones. Half of them join by a frame, half with the connection.
 */
export const joinRace: Fault<Size> = {
  number: 3,
  title: 'joins with `since` against a fast publisher see no gap and no double where history meets live',
  short: { joins: 300, perSecond: 1000, clients: 6 },
  long: { joins: 10_000, perSecond: 1000, clients: 10 },

  async run({ joins, perSecond, clients }, chance) {
    await using server = await FaultServer.start()
    await using cleanup = new AsyncDisposableStack()
    const ledger = new Ledger()
    const token = await server.token({ user: 'publisher', device: 'p', roles: ['admin'] })
    const publisher = new Publisher({ name: 'p', url: () => server.url, token, ledger })
    cleanup.defer(() => publisher.stop())
    await publisher.start()
    const stop = new AbortController()
    const publishing = publisher.run(['room:race'], perSecond, stop.signal)
    const ordered = () => [...ledger.all()].filter(({ outcome }) => outcome === 'ok')
    await until(() => ordered().length > LOOK_BACK / 2)

    const acknowledgedMs: number[] = []
    let begun = 0
    let replayed = 0
    const client = async (n: number): Promise<void> => {
      const own = await server.token({ user: `u${n}`, device: 'd' })
      let joiner: Joiner | undefined
      while (begun < joins) {
        const byFrame = begun++ % 2 === 0
        const known = ordered()
        // Before the first of them, or after the very last.
        const back = chance.below(Math.min(LOOK_BACK, known.length))
        const since = known[known.length - 1 - back]
        if (since === undefined) continue
        const began = performance.now()
        if (byFrame) {
          joiner ??= await Joiner.connect(server.url, own, {})
          joiner.join(String(since.cursor))
        } else {
          joiner?.stop()
          joiner = await Joiner.connect(server.url, own, { rooms: 'race', cursor: String(since.cursor) })
        }
        replayed += await joiner.check(since.number)
        acknowledgedMs.push(joiner.levelAt - began)
        if (byFrame && chance.below(2) === 0) {
          await joiner.leave()
          continue
        }
        joiner.stop()
        joiner = undefined
      }
      joiner?.stop()
    }
    await Promise.all(Array.from({ length: clients }, (_, n) => client(n)))
    stop.abort()
    await publishing
    return {
      joins,
      published: ledger.count('ok'),
      replayed,
      level_p50_ms: percentile(acknowledgedMs, 50),
      level_p99_ms: percentile(acknowledgedMs, 99),
    }
  },
}

class Joiner {
  /** When the history was there. */
  levelAt = 0
  private readonly socket: InstanceType<typeof Ws>
  private frames: Frame[] = []
  private joined = false

  private constructor(socket: InstanceType<typeof Ws>) {
    this.socket = socket
    socket.on('message', (data: Buffer) => this.frames.push(JSON.parse(data.toString()) as Frame))
  }

  static async connect(serverUrl: string, token: string, query: Readonly<Record<string, string>>): Promise<Joiner> {
    const url = new URL(`/realtime?${new URLSearchParams({ token, ...query })}`, serverUrl.replace('http', 'ws'))
    const joiner = new Joiner(new Ws(url, { perMessageDeflate: false }))
    await until(() => joiner.frames.length > 0)
    const [welcome] = joiner.frames
    joiner.levelAt = performance.now()
    must(welcome?.type === 'welcome', `no welcome: ${JSON.stringify(welcome)}`)
    const { resume } = welcome.payload as { resume: { recovered: boolean } }
    if (query['cursor'] !== undefined) must(resume.recovered, 'everything was there, and the welcome denies it')
    return joiner
  }

  join(since: string): void {
    this.frames = []
    this.joined = true
    this.socket.send(JSON.stringify({ type: 'join_room', id: 'join', payload: { room: 'race', since } }))
  }

  /** Waits for some live messages and checks that all are there. @returns how many came. */
  async check(after: number): Promise<number> {
    const isLive = ({ type, history }: Frame) => type === 'note' && !history
    const isAnswer = ({ correlation_id }: Frame) => correlation_id === 'join'
    await until(() => {
      const { frames } = this
      const answered = this.joined ? frames.findIndex(isAnswer) : 0
      return answered >= 0 && frames.slice(answered).filter(isLive).length >= LIVE
    })
    const { frames } = this
    const numbers = frames.flatMap(({ type, payload }) =>
      type === 'note' ? [Number((payload as { key: string }).key.split(' ').at(-1))] : [],
    )
    const wrong = numbers.findIndex((number, n) => number !== after + 1 + n)
    must(
      wrong === -1,
      `after ${after} came ${numbers.slice(Math.max(0, wrong - 3), wrong + 4)} at the ${wrong}th message (${this.joined ? 'by frame' : 'with the connection'})`,
    )
    if (this.joined) this.checkAnswer(frames)
    return numbers.length
  }

  async leave(): Promise<void> {
    this.socket.send(JSON.stringify({ type: 'leave_room', id: 'leave', payload: { room: 'race' } }))
    await until(() => this.frames.some(({ correlation_id }) => correlation_id === 'leave'))
  }

  stop(): void {
    this.socket.terminate()
  }

  private checkAnswer(frames: readonly Frame[]): void {
    const at = frames.findIndex(({ correlation_id }) => correlation_id === 'join')
    const { recovered, replayed, cursor } = payloadOf(frames[at] as Frame)
    const history = frames.filter((frame) => frame['history'] === true)
    must(recovered === true, 'everything was there, and the answer denies it')
    must(history.length === replayed, `${history.length} messages were history, the answer says ${replayed}`)
    must(
      frames.slice(0, at).every(({ type, history }) => type !== 'note' || history === true),
      'live before the answer',
    )
    const last = history.at(-1)?.cursor
    must(last === undefined || Number(last) <= Number(cursor), `the answer's position ${cursor} is before ${last}`)
    this.levelAt = performance.now()
  }
}
