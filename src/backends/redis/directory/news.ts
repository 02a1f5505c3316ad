/** What the directory's scripts tell: who came to a room or went, and how many are in it. Read as strictly as the bus. */
import type { Passage } from '../../../core/ports/backend.ts'
import { isRecord } from '../../../protocol/frames.ts'
import { FORMAT } from '../keys.ts'
import { splitLines } from '../lines.ts'
import { isPlace } from './place.ts'

/** How the scripts begin what they tell on the channel of a room. Its place in the stream and the passage as JSON follow. */
export const PASSAGE_HEAD = `${FORMAT}\\np\\n`
/** And on an instance's own channel. The last place in the stream, a token, participants, 1 if told, and the room follow. */
export const COUNT_HEAD = `${FORMAT}\\nc\\n`

export type News =
  | { readonly kind: 'passage'; readonly place: string; readonly passage: Passage }
  | { readonly kind: 'count'; readonly place: string; readonly count: Count }

/** The answer to a token: how many users are in a room, and whether others know of the one who asked. */
export interface Count {
  readonly token: string
  readonly room: string
  readonly participants: number
  readonly isTold: boolean
}

/** What an instance has not heard. */
export interface Missed {
  readonly news: readonly News[]
  /** Whether that is all there was. */
  readonly isWhole: boolean
}

const PASSAGE = PASSAGE_HEAD.replaceAll('\\n', '\n')
const COUNT = COUNT_HEAD.replaceAll('\\n', '\n')
/** Lines of each before its last part. */
const PASSAGE_LINES = 3
const COUNT_LINES = 6
const TOKEN = /^[0-9]{1,16}$/
const NUMBER = /^[0-9]{1,15}$/

/** Whether a text is of this kind at all. */
export function isNews(text: string): boolean {
  return text.startsWith(PASSAGE) || text.startsWith(COUNT)
}

/**
 * Reads what came on a channel.
 * @param room whose channel it is; absent: the instance's own.
 */
export function parseNews(room: string | undefined, text: string): News | undefined {
  if (room === undefined) return parseCount(text)
  const [, , place = '', json = ''] = splitLines(text, PASSAGE_LINES)
  return text.startsWith(PASSAGE) ? parsePassage(room, place, json) : undefined
}

/** Reads a passage as it stands in the stream. */
export function parsePassage(room: string, place: string, json: string): News | undefined {
  let passage: unknown
  try {
    passage = JSON.parse(json)
  } catch {
    return undefined
  }
  if (!isRecord(passage) || !isPlace(place)) return undefined
  const { user: userId, participants, name, came, gathered, lost } = passage
  if (typeof userId !== 'string' || !Number.isSafeInteger(participants) || (participants as number) < 0)
    return undefined
  return {
    kind: 'passage',
    place,
    passage: {
      room,
      userId,
      username: typeof name === 'string' ? name : undefined,
      participants: participants as number,
      came: came === true,
      gathered: gathered === true,
      nodeLost: lost === true,
    },
  }
}

function parseCount(text: string): News | undefined {
  const [, , place = '', token = '', participants = '', isTold, room] = splitLines(text, COUNT_LINES)
  if (!text.startsWith(COUNT) || room === undefined || !isPlace(place)) return undefined
  if (!TOKEN.test(token) || !NUMBER.test(participants)) return undefined
  return { kind: 'count', place, count: { token, room, participants: Number(participants), isTold: isTold === '1' } }
}
