/** The history that a join asks for, read up to what is live. Only the new topic waits; the session's others go on. */
import type { Exchange } from '../core/exchange.ts'
import type { Hub } from '../core/hub.ts'
import { Message } from '../core/message.ts'
import { PAGE, toPage } from '../core/page.ts'
import type { StoredMessage } from '../core/ports/log.ts'
import { isRecoverable, isStillThere } from '../core/recoverable.ts'
import type { Room } from '../core/room.ts'
import { roomLog } from '../core/stored-topics.ts'

/** What a client wants to have: everything after a cursor, or the last few. */
export type HistoryWish = { readonly since: number } | { readonly last: number }

export class RoomHistory {
  /** Whether everything after `since` was there. */
  recovered = false
  replayed = 0
  private readonly hub: Hub
  private readonly exchange: Exchange
  private readonly topic: string
  /** Up to where it is read for a member: what comes later reaches it live. */
  private readonly joinedAt: number | undefined

  /** @param already whether the session was in the room before, and hears what is live. */
  constructor(hub: Hub, exchange: Exchange, room: Room, already: boolean) {
    this.hub = hub
    this.exchange = exchange
    this.topic = roomLog(room.name)
    this.joinedAt = already ? hub.line.delivered : undefined
  }

  /** Sends what was wished for, oldest first. When it resolves the client is level with what was delivered, in this turn. */
  async read(wish: HistoryWish): Promise<void> {
    const { hub, topic } = this
    const { session } = this.exchange
    // A client that is still being read to has not come as far as the history: the answer's position would be before it.
    while (session.gate !== undefined) await hub.catchUp.breathe(session)
    const log = hub.backend.log
    const limit = hub.config.limits.replay_messages || Number.MAX_SAFE_INTEGER
    let at: number
    if ('since' in wish) {
      at = wish.since
      this.recovered = isRecoverable(at, await log.completeness(topic))
      if ((await log.count(topic, at)) > limit) {
        this.recovered = false
        at = await this.beforeLast(limit)
      }
    } else {
      at = await this.beforeLast(Math.min(wish.last, limit))
    }
    for (;;) {
      const upTo = this.head
      const read = log.read({ topics: [topic] }, at, upTo, PAGE)
      const { rows, more } = toPage(read instanceof Promise ? await read : read)
      // The room may have removed something while it was waited for.
      const known = log.completeness(topic, at)
      if (!isStillThere(at, known instanceof Promise ? await known : known)) this.recovered = false
      this.send(rows)
      at = rows.at(-1)?.cursor ?? at
      if (!more && this.head === upTo) return
      await hub.catchUp.breathe(session)
    }
  }

  private send(rows: readonly StoredMessage[]): void {
    this.replayed += rows.length
    this.exchange.replay(rows.map(({ body, cursor }) => Message.stored(body, cursor, true)))
  }

  /** The position before the last `count` messages. */
  private async beforeLast(count: number): Promise<number> {
    const { head } = this
    if (count === 0) return head
    const [first] = await this.hub.backend.log.tail(this.topic, count, head)
    return first === undefined ? head : first.cursor - 1
  }

  private get head(): number {
    return this.joinedAt ?? this.hub.line.delivered
  }
}
