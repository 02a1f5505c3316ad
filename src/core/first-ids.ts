/**
 * The ids under which keyed messages were published first that are stored nowhere, over all instances: whoever retries by
 * another instance gets the first answer. What has heard of a key does not take it again, see `relay.ts`; so this may be
 * asked while the message is on its way.
 */
import type { MaybePromise } from './maybe-promise.ts'
import type { Shelf } from './ports/shelf.ts'
import type { Publication } from './publication.ts'
import { within } from './within.ts'

/** Milliseconds that an answer waits to learn whether it is the first. Past that it is taken to be. */
const PATIENCE_MS = 1000

export class FirstIds {
  private readonly shelf: Shelf | undefined
  private readonly keptMs: number

  /**
   * @param shelf absent where this process is the whole deployment: it knows its own answers.
   * @param keptMs milliseconds for which a key is known.
   */
  constructor(shelf: Shelf | undefined, keptMs: number) {
    this.shelf = shelf
    this.keptMs = keptMs
  }

  /** The id of the first message with this key; `id` where this is the first. */
  of(id: string, idempotency: Publication['idempotency']): MaybePromise<string> {
    const { shelf } = this
    if (shelf === undefined || idempotency === undefined || this.keptMs === 0) return id
    const name = `once:${idempotency.scope}\n${idempotency.key}`
    return within(PATIENCE_MS, async () => shelf.claim(name, id, this.keptMs)).then(
      (first) => first ?? id,
      () => id,
    )
  }
}
