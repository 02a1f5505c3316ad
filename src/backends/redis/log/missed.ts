/** What was stored while the line stood, read from the log and told in order; and what the log does not have any more. */
import { MARKER_TOPICS } from './marker-script.ts'
import type { Markers } from './markers.ts'
import type { Reader } from './reader.ts'
import type { Recent } from './recent.ts'
import type { Row } from './rows.ts'
import type { Teller } from './teller.ts'
import type { Topic } from './topics.ts'

export interface MissedOptions {
  readonly markers: Markers
  readonly reader: Reader
  readonly recent: Recent
  readonly teller: Teller
  /** The connection that a message came from, where it is one of this instance's that was not told yet. */
  readonly originOf: (id: string) => string | undefined
}

/** Messages told at once: others have their turn in between. */
const PAGE = 500

/** A topic that has had messages, and its last one. */
interface Moved {
  readonly topic: Topic
  readonly last: number
}

export class Missed {
  private readonly options: MissedOptions

  constructor(options: MissedOptions) {
    this.options = options
  }

  /**
   * Tells what these topics have had since the last message told, up to a cursor.
   * @param current false: somebody else has taken over, and nothing more is told.
   * @returns whether all of it was told.
   */
  async tell(topics: readonly Topic[], upTo: number, current: () => boolean): Promise<boolean> {
    const { reader, teller } = this.options
    const moved = await this.movedOf(topics)
    if (!current()) return false
    const rows = reader.rows([...moved.keys()], teller.head, upTo, PAGE)
    for (let more = moved.size > 0; more; ) {
      const page = await rows.read(PAGE, () => true)
      if (!current()) return false
      more = page.length === PAGE
      this.tellPage(moved, page, more ? undefined : upTo)
    }
    return true
  }

  private async movedOf(topics: readonly Topic[]): Promise<Map<string, Moved>> {
    const moved = new Map<string, Moved>()
    for (let n = 0; n < topics.length; n += MARKER_TOPICS) {
      const some = topics.slice(n, n + MARKER_TOPICS)
      const names = some.map(({ name }) => name)
      const lasts = await this.options.markers.send(names, () => {})
      for (const [place, topic] of some.entries()) {
        const last = lasts[place] ?? 0
        if (last > topic.last) moved.set(topic.name, { topic, last })
      }
    }
    return moved
  }

  /** @param end given with the last page: up to here nothing else can be read. */
  private tellPage(moved: ReadonlyMap<string, Moved>, page: readonly Row[], end: number | undefined): void {
    const { originOf, recent, teller } = this.options
    const torn = new Set<string>()
    for (const { message, previous } of page) {
      const topic = moved.get(message.topic)?.topic
      if (topic === undefined) continue
      if (previous > topic.last) {
        torn.add(topic.name)
        recent.begin(topic.name, previous)
      }
      topic.last = message.cursor
      recent.add(message, undefined)
    }
    for (const { topic, last } of end === undefined ? [] : moved.values()) {
      // A last message beyond the end comes by the bus, and names the one before it.
      if (end === undefined || last > end || topic.last >= last) continue
      torn.add(topic.name)
      topic.last = last
      recent.begin(topic.name, last)
    }
    // Before what comes after it: whoever leaves in between must not come back with a position behind the gap.
    if (torn.size > 0) teller.gap([...torn], teller.head, end ?? page.at(-1)?.message.cursor ?? teller.head)
    for (const { message } of page) teller.add({ ...message, origin: originOf(message.id) })
    teller.flush()
  }
}
