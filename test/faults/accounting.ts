/**
 * What was published and what applications have got, as accounts that must agree. Every publish is `ok`, `failed` or
 * `unknown`: only what is ok may not be lost, only what was attempted may appear, nothing appears twice to an application
 * that keeps its cursor, and the order holds.
 */

export type Outcome = 'unknown' | 'ok' | 'failed'

/** One publish, under a key that its payload carries. */
export interface Attempt {
  readonly key: string
  /** `room:NAME` or `user:NAME`. */
  readonly topic: string
  /** Who published, and the how many-eth of its publishes to the topic it was: their order is kept. */
  readonly publisher: string
  readonly number: number
  readonly outcome: Outcome
  readonly cursor: number
  readonly id: string
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** A message as an application got it. */
interface Got {
  readonly key: string
  readonly topic: string
  readonly cursor: number
  readonly id: string
}

export class Ledger {
  private readonly attempts = new Map<string, Mutable<Attempt>>()
  private readonly numbers = new Map<string, number>()
  /** Kept up to date: it is asked for all the time, of hundreds of thousands of attempts. */
  private readonly counts: Record<Outcome, number> = { unknown: 0, ok: 0, failed: 0 }

  /** Enters a publish that is about to be sent. A retry is no new attempt. */
  attempt(topic: string, publisher: string): Attempt {
    const account = `${publisher} ${topic}`
    const number = this.numbers.get(account) ?? 0
    this.numbers.set(account, number + 1)
    const key = `${account} ${number}`
    const attempt: Attempt = { key, topic, publisher, number, outcome: 'unknown', cursor: 0, id: '' }
    this.attempts.set(key, attempt)
    this.counts.unknown++
    return attempt
  }

  /** Enters what its publisher was answered. */
  settle(key: string, answer: { outcome: 'failed' } | { outcome: 'ok'; cursor: number; id: string }): void {
    const attempt = this.attempts.get(key)
    if (attempt === undefined) throw new Error(`nobody published ${key}`)
    this.counts[attempt.outcome]--
    this.counts[answer.outcome]++
    Object.assign(attempt, answer)
  }

  get(key: string): Attempt | undefined {
    return this.attempts.get(key)
  }

  all(): IterableIterator<Attempt> {
    return this.attempts.values()
  }

  count(outcome: Outcome): number {
    return this.counts[outcome]
  }
}

/** What went wrong, in words. */
interface Breach {
  readonly kind: 'lost' | 'invented' | 'twice' | 'order' | 'differs'
  readonly what: string
}

/** An application that keeps one cursor, and takes what is beyond it. */
export class Application {
  readonly name: string
  /** Everything up to this cursor was taken. */
  position = 0
  /** From which cursor on each topic is expected whole. */
  readonly expects = new Map<string, number>()
  /** Where the server has said that something may be missing: not before this cursor is each topic whole. */
  readonly excused = new Map<string, number>()
  readonly got: Got[] = []
  /** Messages that came again over the wire and were not taken. */
  duplicates = 0

  constructor(name: string) {
    this.name = name
  }

  /** From now on the topic is expected to be whole after this cursor. */
  expect(topic: string, after: number): void {
    if (!this.expects.has(topic)) this.expects.set(topic, after)
  }

  take(message: Got): void {
    if (message.cursor <= this.position) {
      this.duplicates++
      return
    }
    this.position = message.cursor
    this.got.push(message)
  }

  /** The server has named a position. */
  moveTo(cursor: number): void {
    this.position = Math.max(this.position, cursor)
  }

  /** The server has said that messages of the topic may be missing up to this cursor. */
  excuse(topic: string, upTo: number): void {
    this.excused.set(topic, Math.max(this.excused.get(topic) ?? 0, upTo))
  }
}

/** Checks the accounts. @returns what does not agree, an empty list where everything holds. */
export function audit(ledger: Ledger, applications: readonly Application[]): Breach[] {
  const breaches: Breach[] = []
  const byTopic = Map.groupBy(ledger.all(), ({ topic }) => topic)
  for (const application of applications) {
    const { name } = application
    const got = new Map<string, Got>()
    const seen = new Map<string, number>()
    let last = 0
    for (const message of application.got) {
      const attempt = ledger.get(message.key)
      const before = got.get(message.key)
      const tell = (kind: Breach['kind'], more = '') =>
        breaches.push({ kind, what: `${name}: ${message.key} at ${message.cursor}${more}` })
      // What came before a gap may have been lost after that, and stored anew when its publisher tried again.
      const isLost = ({ cursor, topic }: Got): boolean => cursor <= (application.excused.get(topic) ?? 0)
      const isAgain = before !== undefined && isLost(before)
      if (attempt === undefined || attempt.topic !== message.topic) tell('invented')
      else if (
        attempt.outcome === 'ok' &&
        (attempt.cursor !== message.cursor || attempt.id !== message.id) &&
        !(isLost(message) && attempt.cursor > message.cursor)
      )
        tell('differs', `, acknowledged at ${attempt.cursor}`)
      if (before !== undefined && !isAgain) tell('twice', `, before at ${before.cursor}`)
      if (message.cursor <= last) tell('order', `, after ${last}`)
      if (attempt !== undefined) {
        const account = `${attempt.publisher} ${attempt.topic}`
        if (attempt.number <= (seen.get(account) ?? -1) && !isAgain)
          tell('order', `, after number ${seen.get(account)}`)
        seen.set(account, attempt.number)
      }
      last = Math.max(last, message.cursor)
      got.set(message.key, message)
    }
    for (const [topic, after] of application.expects) {
      const from = Math.max(after, application.excused.get(topic) ?? 0)
      for (const attempt of byTopic.get(topic) ?? []) {
        if (attempt.outcome !== 'ok' || attempt.cursor <= from || got.has(attempt.key)) continue
        breaches.push({ kind: 'lost', what: `${name}: ${attempt.key} at ${attempt.cursor}, expected after ${from}` })
      }
    }
  }
  return breaches
}

/** @throws Error that counts what does not agree and shows the first of each kind. */
export function holds(ledger: Ledger, applications: readonly Application[]): void {
  const breaches = audit(ledger, applications)
  if (breaches.length === 0) return
  const lines = [...Map.groupBy(breaches, ({ kind }) => kind)].map(
    ([kind, all]) =>
      `${kind}: ${all.length}\n  ${all
        .slice(0, 5)
        .map(({ what }) => what)
        .join('\n  ')}`,
  )
  throw new Error(`the accounts do not agree\n${lines.join('\n')}`)
}
