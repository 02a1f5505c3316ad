/** What the directory's scripts tell: who came to a room or went, and how many are in it. Read as strictly as the bus. */
import type { Passage } from '../../../core/ports/backend.ts'
import { isRecord } from '../../../protocol/frames.ts'
import { FORMAT } from '../keys.ts'
import { splitLines } from '../lines.ts'

/** Told on the channel of a room. */
export const PASSAGE_HEAD = `${FORMAT}\\np\\n`
/** Told on an instance's own channel. */
export const COUNT_HEAD = `${FORMAT}\\nc\\n`

/** The answer to a token: how many users are in a room, and whether the one who asked is among them. */
export interface Count {
  readonly token: string
  readonly room: string
  readonly participants: number
  readonly isTold: boolean
}

const PASSAGE = unescaped(PASSAGE_HEAD)
const COUNT = unescaped(COUNT_HEAD)
const TOKEN = /^[0-9]{1,16}$/
const NUMBER = /^[0-9]{1,15}$/

/** Whether a text is of this kind at all. */
export function isNews(text: string): boolean {
  return text.startsWith(PASSAGE) || text.startsWith(COUNT)
}

export function parsePassage(room: string, text: string): Passage | undefined {
  if (!text.startsWith(PASSAGE)) return undefined
  let passage: unknown
  try {
    passage = JSON.parse(text.slice(PASSAGE.length))
  } catch {
    return undefined
  }
  if (!isRecord(passage)) return undefined
  const { user: userId, participants, name, connection, came, gathered, lost } = passage
  if (typeof userId !== 'string' || !Number.isSafeInteger(participants) || (participants as number) < 0) return undefined
  return {
    room,
    userId,
    username: typeof name === 'string' ? name : undefined,
    participants: participants as number,
    came: came === true,
    connectionId: typeof connection === 'string' ? connection : undefined,
    gathered: gathered === true,
    nodeLost: lost === true,
  }
}

export function parseCount(text: string): Count | undefined {
  const [, , token = '', participants = '', isTold, room] = splitLines(text, 5)
  if (!text.startsWith(COUNT) || room === undefined || !TOKEN.test(token) || !NUMBER.test(participants)) return undefined
  return { token, room, participants: Number(participants), isTold: isTold === '1' }
}

/** As a script's string literal has it, and as it comes. */
function unescaped(literal: string): string {
  return literal.replaceAll('\\n', '\n')
}
