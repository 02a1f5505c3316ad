/** Reads from the stream of comings and goings what an instance has not heard. */
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { type Missed, type News, parsePassage } from './news.ts'

/** Passages read at once: about a millisecond of Redis' time. */
const PAGE = 1000

/**
 * @param after the last place heard. Where it is not in the stream, that was trimmed, or lost.
 * @param isWanted whether a room's passages concern this instance.
 * @throws TidingsError `unavailable`
 */
export async function readMissed(
  primary: Primary,
  keys: Keys,
  after: string,
  isWanted: (room: string) => boolean,
): Promise<Missed> {
  const news: News[] = []
  for (let from = after; ; ) {
    const [known, ...entries] = await primary.ask((redis) => redis.xrange(keys.passages, from, '+', 'COUNT', PAGE))
    if (known?.[0] !== from) return { news, isWhole: false }
    for (const [place, [, room = '', , json = '']] of entries) {
      const passage = isWanted(room) ? parsePassage(room, place, json) : undefined
      if (passage !== undefined) news.push(passage)
    }
    const last = entries.at(-1)
    if (last === undefined) return { news, isWhole: true }
    from = last[0]
  }
}
