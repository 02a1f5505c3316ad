/** What instances tell each other beside stored messages. Read as strictly as those, for the same reason. */
import type { BusMessage } from '../../core/ports/bus.ts'
import { FORMAT } from './keys.ts'
import { splitLines } from './lines.ts'

/** A message for who is connected now. */
export interface Ephemeral {
  readonly kind: 'ephemeral'
  readonly from: string
  readonly message: BusMessage
}

/** A question to this instance. */
export interface Question {
  readonly kind: 'question'
  readonly from: string
  readonly id: string
  readonly message: BusMessage
}

/** The answer to one of this instance's questions. */
export interface Answer {
  readonly kind: 'answer'
  readonly from: string
  readonly id: string
  /** The name of an error; absent: it is an answer. */
  readonly error: string | undefined
  readonly body: string
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/
const LETTER = { ephemeral: 'e', question: 'q', answer: 'a' } as const
/** Lines before the body. */
const HEAD_LINES = 5

export function formatEphemeral(from: string, message: BusMessage): string {
  return [FORMAT, LETTER.ephemeral, from, '', details(message), message.body].join('\n')
}

export function formatQuestion(from: string, id: string, message: BusMessage): string {
  return [FORMAT, LETTER.question, from, id, details(message), message.body].join('\n')
}

export function formatAnswer(from: string, id: string, error: string | undefined, body: string): string {
  return [FORMAT, LETTER.answer, from, id, error ?? '', body].join('\n')
}

/** Whether a text is of this kind at all: stored messages and markers have other letters. */
export function isBusText(text: string): boolean {
  return text.startsWith(`${FORMAT}\n`) && 'eqa'.includes(text[FORMAT.length + 1] ?? ' ')
}

export function parseBusText(text: string): Ephemeral | Question | Answer | undefined {
  const [, letter, from = '', id = '', head = '', body] = splitLines(text, HEAD_LINES)
  if (body === undefined || !NAME.test(from)) return undefined
  if (letter === LETTER.answer) {
    if (!NAME.test(id) || (head !== '' && !NAME.test(head))) return undefined
    return { kind: 'answer', from, id, error: head === '' ? undefined : head, body }
  }
  const message = parseDetails(head, body)
  if (message === undefined) return undefined
  if (letter === LETTER.ephemeral) return { kind: 'ephemeral', from, message }
  return letter === LETTER.question && NAME.test(id) ? { kind: 'question', from, id, message } : undefined
}

function details({ kind, device, origin }: BusMessage): string {
  return JSON.stringify([kind, device ?? null, origin ?? null])
}

function parseDetails(text: string, body: string): BusMessage | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(parsed) || parsed.length !== 3) return undefined
  const [kind, device, origin] = parsed as unknown[]
  if (typeof kind !== 'string' || !NAME.test(kind)) return undefined
  if (!(device === null || typeof device === 'string') || !(origin === null || typeof origin === 'string'))
    return undefined
  return { kind, body, device: device ?? undefined, origin: origin ?? undefined }
}
