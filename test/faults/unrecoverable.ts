import { copyFileSync, rmSync } from 'node:fs'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { type Fault, must } from './fault.ts'
import { Hearing, TRANSPORTS, type Transport } from './hearing.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Messages that a topic keeps. */
  readonly keeps: number
}

const CONFIG = (keeps: number) => ({
  rooms: [
    { pattern: 'aged', history: { max_messages: 1000, max_age: '1s' as const } },
    { pattern: '*', history: { max_messages: keeps, max_age: '1h' as const } },
  ],
  inbox: { max_messages: keeps },
})

type Way = Transport | 'resume frame' | 'join'
const WAYS: readonly Way[] = [...TRANSPORTS, 'resume frame', 'join']

/** What somebody learns who comes back. */
interface Return {
  readonly recovered: boolean
  readonly gaps: readonly string[]
  readonly numbers: readonly number[]
}

export const unrecoverable: Fault<Size> = {
  number: 6,
  title: 'who cannot be given everything is told so, on every transport, and nobody else is',
  short: { keeps: 60 },
  long: { keeps: 1000 },

  async run({ keeps }) {
    const cases: Record<string, number> = {}
    const check = async (site: Site, name: string, from: number, expected: (way: Way) => Return) => {
      for (const way of WAYS) {
        const wanted = expected(way)
        const found = await site.comeBack(way, from)
        // The sentinels of the others take up some of what is kept.
        const numbers = wanted.recovered ? wanted.numbers : wanted.numbers.slice(-found.numbers.length || undefined)
        const said = JSON.stringify(found)
        must(
          said === JSON.stringify({ ...wanted, numbers }),
          `${name}, by ${way}: ${said.slice(0, 300)}, not ${JSON.stringify(wanted).slice(0, 300)}`,
        )
      }
      cases[name] = WAYS.length
    }
    const all = (numbers: readonly number[]): Return => ({ recovered: true, gaps: [], numbers })
    // A join speaks of its room alone, and has no list of gaps.
    const gap = (way: Way, numbers: readonly number[], rooms = ['inbox', 'lobby']): Return => ({
      recovered: false,
      gaps: way === 'join' ? [] : rooms,
      numbers,
    })

    await using site = await Site.start(keeps)
    const from = await site.publish(0)
    // Less than is kept, with the sentinels of everybody who comes back.
    const few = [...Array(keeps - 30).keys()].map((n) => n + 1)
    for (const n of few) await site.publish(n)
    await check(site, 'everything is there', from, () => all(few))
    await site.server.kill()
    await site.server.start()
    await check(site, 'everything is there after kill -9', from, () => all(few))
    await site.server.stop()
    await site.server.start()
    await check(site, 'everything is there after a restart', from, () => all(few))

    const later = Array.from({ length: keeps }, (_, n) => 10_000 + n)
    for (const n of later) await site.publish(n)
    await check(site, 'more than is kept', from, (way) => gap(way, later))
    const future = Math.round((Date.now() + 3_600_000) * 1000)
    await check(site, 'a position from the future', future, (way) => gap(way, []))

    const aged = await site.publish(0, 'aged')
    await site.publish(1, 'aged')
    await until(async () => (await site.history('aged')) === 0)
    const away = await site.comeBack('websocket', aged, 'aged')
    must(!away.recovered && away.gaps.includes('aged'), `too old to be kept: ${JSON.stringify(away)}`)

    const now = await site.publish(20_000)
    const backup = `${site.server.storePath}.backup`
    await site.server.stop()
    copyFileSync(site.server.storePath, backup)
    await site.server.start()
    await site.publish(20_001)
    await site.server.stop()
    copyFileSync(backup, site.server.storePath)
    await site.server.start()
    await check(site, 'an older copy of the store was put back', now, (way) => gap(way, []))
    await site.server.kill()
    for (const end of ['', '-wal', '-shm']) rmSync(`${site.server.storePath}${end}`, { force: true })
    await site.server.start()
    await check(site, 'the store was emptied', now, (way) => gap(way, []))

    const refused = await Promise.all(
      ['abc', '-1', '1.5', '99999999999999999999'].map((cursor) => site.refusal(cursor)),
    )
    must(
      refused.every((status) => status === 400),
      `malformed cursors were answered with ${refused}`,
    )
    return { ...cases, malformed: refused.length }
  },
}

class Site implements AsyncDisposable {
  readonly server: FaultServer
  private readonly token: string
  private visits = 0

  private constructor(server: FaultServer, token: string) {
    this.server = server
    this.token = token
  }

  static async start(keeps: number): Promise<Site> {
    const server = await FaultServer.start({ config: CONFIG(keeps) })
    return new Site(server, await server.token({ user: 'alice' }))
  }

  /** Publishes a number to a room and to the user. @returns a position after both. */
  async publish(n: number, room = 'lobby'): Promise<number> {
    let cursor = 0
    for (const to of [{ room }, { user_id: 'alice' }]) {
      const response = await this.server.admin('/realtime/publish', {
        method: 'POST',
        body: { to, type: 'note', payload: n },
      })
      must(response.ok, `a publish was answered with ${response.status}`)
      cursor = Number(((await response.json()) as { cursor: string }).cursor)
    }
    return cursor
  }

  /** How many messages a room has left. */
  async history(room: string): Promise<number> {
    const hearing = await Hearing.open('websocket', { url: this.server.url, token: this.token })
    const answer = await hearing.ask({ type: 'join_room', payload: { room, history: 1000 } })
    hearing.cut()
    return Number(payloadOf(answer)['replayed'])
  }

  /** Comes back as another device each time: none shall be known. */
  async comeBack(way: Way, from: number, room = 'lobby'): Promise<Return> {
    const device_id = `d${this.visits++}`
    const cursor = String(from)
    const { url } = this.server
    const byFrame = way === 'resume frame' || way === 'join'
    const transport = byFrame ? 'websocket' : way
    const query = way === 'join' ? { device_id } : { device_id, rooms: room, ...(!byFrame && { cursor }) }
    const hearing = await Hearing.open(transport, { url, token: this.token, query })
    try {
      const answer = byFrame ? await this.ask(hearing, way, cursor, room) : hearing.resume
      const sentinel = -1 - this.visits
      await this.publish(sentinel, room)
      // Without a cursor in the address the inbox goes on from what was acknowledged, until the frame asks for more.
      const numbersOf = (isOfRoom: boolean) => {
        const frames = hearing.frames.filter(({ type, room }) => type === 'note' && (room !== undefined) === isOfRoom)
        const byCursor = new Map(frames.map(({ cursor, payload }) => [Number(cursor), Number(payload)]))
        return [...byCursor].sort(([one], [other]) => one - other).map(([, payload]) => payload)
      }
      const isThere = (isOfRoom: boolean) => numbersOf(isOfRoom).includes(sentinel)
      await until(() => isThere(true) && isThere(false)).catch(() =>
        must(false, `by ${way} from ${from} the sentinel did not come: ${JSON.stringify(hearing.frames.slice(-3))}`),
      )
      const told = (isOfRoom: boolean) => numbersOf(isOfRoom).filter((n) => n >= 0)
      // The inbox and the room had the same numbers; a join is of the room alone.
      if (way !== 'join' && room === 'lobby')
        must(
          `${told(true)}` === `${told(false)}`,
          `${told(true).length} of the room, ${told(false).length} of the inbox`,
        )
      return {
        recovered: answer.recovered,
        gaps: answer.gaps.map((gap) => gap.room ?? 'inbox').sort(),
        numbers: told(true),
      }
    } finally {
      hearing.cut()
    }
  }

  async refusal(cursor: string): Promise<number> {
    const response = await fetch(`${this.server.url}/realtime/sse?token=${this.token}&cursor=${cursor}`)
    return response.status
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]()
  }

  private async ask(
    hearing: Hearing,
    way: Way,
    cursor: string,
    room: string,
  ): Promise<{ recovered: boolean; gaps: { room?: string }[] }> {
    const frame =
      way === 'join' ? { type: 'join_room', payload: { room, since: cursor } } : { type: 'resume', payload: { cursor } }
    const { recovered, gaps = [] } = payloadOf(await hearing.ask(frame))
    return { recovered: recovered === true, gaps: gaps as { room?: string }[] }
  }
}
