/** Speaking in the server's name: publishing, once for each key, and asking clients for answers. */
import { type Answers, Asks } from './asks.ts'
import type { Voice } from './context.ts'
import { ANSWERS, type ForeignAsks } from './foreign-asks.ts'
import type { Idempotency } from './idempotency.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { Peers } from './peers.ts'
import type { Publication, Published, Recipient } from './publication.ts'
import type { Publisher } from './publisher.ts'

export interface SpeakerDeps {
  readonly publisher: Publisher
  readonly idempotency: Idempotency<Published>
  /** Events of other instances that want answers from clients of this one. */
  readonly foreignAsks: ForeignAsks
  readonly peers: Peers
}

export class Speaker implements Voice {
  readonly asks = new Asks()
  private readonly deps: SpeakerDeps

  constructor(deps: SpeakerDeps) {
    this.deps = deps
    deps.peers.answer(ANSWERS, ({ answers }) => this.asks.answerAll(answers))
  }

  /** Whether any client's answer is waited for. */
  get asking(): boolean {
    return this.asks.size + this.deps.foreignAsks.size > 0
  }

  publish: Voice['publish'] = (to, type, payload, except) => this.deps.publisher.publish({ to, type, payload, except })

  /** Publishes once for each key: a repeated one gets the first answer. */
  publishOnce(key: string, publication: Publication): MaybePromise<Published> {
    const { idempotency, publisher } = this.deps
    const scope = `\n${keyScope(key)}`
    return idempotency.once(scope, key, () => publisher.publish({ ...publication, idempotency: { scope, key } }))
  }

  /** Publishes an event that wants answers; resolves when all have come, or enough of them, or the time is up. */
  async ask(
    to: Recipient,
    type: string,
    payload: unknown,
    timeoutMs: number,
    enough?: number,
  ): Promise<Answers & { published: Published }> {
    let published: Published | undefined
    const answers = await this.asks.ask(
      timeoutMs,
      async (id) => {
        published = await this.deps.publisher.publish({ to, type, payload, ask: { id, timeoutMs } })
        return published.online
      },
      enough,
    )
    return { ...answers, published: published as Published }
  }

  askOne: Voice['askOne'] = async (to, type, payload, timeoutMs) => {
    const { answers } = await this.ask(to, type, payload, timeoutMs, 1)
    return answers[0]
  }

  /** Takes a client's answer to an event, of this instance or another. */
  answer(ackId: string, connectionId: string, result: unknown): void {
    this.asks.answer(ackId, connectionId, result)
    this.deps.foreignAsks.answer(ackId, connectionId, result)
  }
}

/**
 * Scopes over which the keys of backends are spread. A scope remembers a few hundred keys, which is ample for a device and
 * nothing for a backend that publishes a thousand a second.
 */
const KEY_SCOPES = 1024

function keyScope(key: string): number {
  let hash = 0
  for (let at = 0; at < key.length; at++) hash = (hash * 31 + key.charCodeAt(at)) >>> 0
  return hash % KEY_SCOPES
}
