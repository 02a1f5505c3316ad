/**
 * Answers that take their time, found once for a key over all instances: whoever asks again, by whichever, is given the
 * first one, and waits for it where it is being found.
 */
import { bytesFromJson } from '../protocol/bytes.ts'
import { TidingsError } from '../protocol/errors.ts'
import { encodeJson } from '../protocol/json.ts'
import type { Shelf } from './ports/shelf.ts'

/** Stands on the shelf while an answer is being found. */
const OPEN = ''
/** Milliseconds between two looks for an answer that is being found. */
const LOOK_MS = 200
/** Milliseconds beyond what it may take, after which whoever looked for an answer is taken for dead. */
const SPARE_MS = 2000
/** When a client should try again whose answer has failed elsewhere. */
const RETRY_MS = 1000

export class SharedAnswers<T> {
  private readonly shelf: Shelf | undefined
  private readonly keptMs: number

  /**
   * @param shelf absent where this process is the whole deployment: it knows its own answers.
   * @param keptMs milliseconds for which an answer is known.
   */
  constructor(shelf: Shelf | undefined, keptMs: number) {
    this.shelf = shelf
    this.keptMs = keptMs
  }

  /**
   * The answer for a key: the first one, or what `find` gives now. One that fails is forgotten.
   * @param longestMs milliseconds that `find` may take.
   * @throws TidingsError (rejected) `unavailable`: it has failed elsewhere meanwhile; or what `find` throws.
   */
  async once(key: string, longestMs: number, find: () => Promise<T>): Promise<T> {
    const { keptMs, shelf } = this
    if (shelf === undefined || keptMs === 0) return find()
    const name = `answer:${key}`
    let held: string | undefined
    try {
      held = await shelf.claim(name, OPEN, longestMs + SPARE_MS)
    } catch {
      // Nobody can be asked whether there is one: better twice than not at all.
      return find()
    }
    if (held !== undefined) return this.read(shelf, name, held)
    const put = async (answer: string, ms: number) => shelf.put(name, answer, ms)
    try {
      const answer = await find()
      put(encodeJson(answer), keptMs).catch(() => {})
      return answer
    } catch (error) {
      put(OPEN, 0).catch(() => {})
      throw error
    }
  }

  private async read(shelf: Shelf, name: string, first: string): Promise<T> {
    let held: string | undefined = first
    while (held === OPEN) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      held = await shelf.get(name)
    }
    if (held === undefined)
      throw new TidingsError('unavailable', 'The first try has failed', { retryAfterMs: RETRY_MS })
    return bytesFromJson(JSON.parse(held), (marked) => marked) as T
  }
}
