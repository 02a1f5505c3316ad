/** A device that keeps one cursor and takes it from transport to transport. */
import type { Frame } from '../../src/testing/index.ts'
import { until } from '../support/until.ts'
import { Application } from './accounting.ts'
import { type Chance, must } from './fault.ts'
import { Hearing, type Transport } from './hearing.ts'

export interface TravellerOptions {
  /** Where it connects to; asked for each connection, so that it may move. */
  readonly url: () => string
  readonly user: string
  /** Names a device. */
  readonly token: string
  readonly chance: Chance
}

export class Traveller {
  readonly app: Application
  readonly welcomeMs: number[] = []
  private readonly options: TravellerOptions
  private hearing: Hearing | undefined
  private hops = 0

  constructor(options: TravellerOptions) {
    this.options = options
    this.app = new Application(options.user)
  }

  /** Leaves what it is connected by and goes on by another; now and then it takes over the former connection's rooms. */
  async hop(transport: Transport): Promise<void> {
    const { chance, user } = this.options
    const former = this.hearing
    // Sometimes the former connection stays open, unread, until the new one is there.
    if (chance.below(2) === 0) former?.cut()
    let takesOver = chance.below(2) === 0
    await until(async () => {
      const outcome = await this.attempt(transport, former, takesOver)
      // A server that was started again has forgotten the connection: the rooms are named, from the same cursor.
      takesOver = false
      return outcome === 'there'
    })
    former?.cut()
    this.app.expect(`user:${user}`, 0)
    await Bun.sleep(chance.below(120))
  }

  private async attempt(
    transport: Transport,
    former: Hearing | undefined,
    takesOver: boolean,
  ): Promise<'there' | 'refused' | 'forgotten'> {
    const { app } = this
    const { chance, token, url, user } = this.options
    const byHeader = transport === 'sse' && chance.below(2) === 0
    const position = String(app.position)
    const hop = ++this.hops
    const isCurrent = () => hop === this.hops
    const began = performance.now()
    const early: (() => void)[] = []
    let counts = false
    /** What a connection says that turns out to have lost its rooms does not count. */
    const when = (take: () => void): void => {
      if (!isCurrent()) return
      if (counts) take()
      else early.push(take)
    }
    const hearing = await Hearing.open(transport, {
      url: url(),
      token,
      query: {
        ...(takesOver && former !== undefined ? { resume: former.connectionId } : { rooms: 'a,b,c' }),
        ...(former !== undefined && !byHeader && { cursor: position }),
      },
      ...(former !== undefined && byHeader && { lastEventId: position }),
      holdS: 2,
      pauseMs: () => chance.below(20),
      onPosition: (moved) => when(() => app.moveTo(moved)),
      onFrame: (frame, moved) => when(() => this.take(frame, moved, former === undefined)),
    }).catch(() => undefined)
    if (hearing === undefined) return 'refused'
    const { resume, rooms } = hearing.welcome
    if (takesOver && !resume.session && rooms.length === 0) {
      hearing.cut()
      return 'forgotten'
    }
    this.welcomeMs.push(performance.now() - began)
    must(former === undefined || resume.recovered, `${user}: ${JSON.stringify(resume)} by ${transport}`)
    must(rooms.length === 3, `${user}: ${rooms.length} rooms, resumed ${resume.session}, by ${transport}`)
    for (const { room, cursor } of rooms) app.expect(`room:${room}`, Number(cursor))
    this.hearing = hearing
    counts = true
    for (const take of early) take()
    return 'there'
  }

  private take(frame: Frame, moved: number | undefined, isFirst: boolean): void {
    const { app } = this
    const { key } = (frame.payload ?? {}) as { key?: string }
    if (key === undefined) {
      if (frame.type !== 'welcome' || isFirst) app.moveTo(moved ?? 0)
      return
    }
    const topic = frame.room === undefined ? `user:${this.options.user}` : `room:${frame.room}`
    app.take({ key, topic, cursor: Number(frame.cursor), id: frame.id ?? '' })
  }

  stop(): void {
    this.hearing?.cut()
  }
}
