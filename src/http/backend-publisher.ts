/** Publishes what backends hand in: once for each key, with the answers of clients where they are asked for. */
import type { Answer } from '../core/asks.ts'
import type { Hub } from '../core/hub.ts'
import { Idempotency } from '../core/idempotency.ts'
import type { MaybePromise } from '../core/maybe-promise.ts'
import type { Published, Recipient } from '../core/publication.ts'
import { SharedAnswers } from '../core/shared-answers.ts'
import type { Admin } from './admin-guard.ts'
import type { ReadPublication } from './publication.ts'

/** What became of a publication. */
export interface Publishing extends Published {
  readonly acks?: { connection_id: string; result: unknown }[]
  readonly missing?: number
}

export class BackendPublisher {
  private readonly hub: Hub
  /** The answers to publications that asked clients: a retry must not ask them again. */
  private readonly asked: Idempotency<Publishing>
  /** The same of other instances. */
  private readonly askedElsewhere: SharedAnswers<Publishing>

  constructor(hub: Hub) {
    this.hub = hub
    const { idempotency_ms } = hub.config.store
    this.asked = new Idempotency(hub.clock, idempotency_ms)
    this.askedElsewhere = new SharedAnswers(hub.backend.shelf, idempotency_ms)
  }

  publish(admin: Admin, { frame, to, idempotencyKey, ackTimeoutMs }: ReadPublication): Promise<Publishing> {
    // Two backends may count their keys the same way.
    const key = idempotencyKey === undefined ? undefined : `${admin.principal.id}\n${idempotencyKey}`
    const { type, payload, ephemeral } = frame
    const publish = async (ask?: { id: string; timeoutMs: number }): Promise<Published> => {
      const publication = { to, type, payload, ephemeral, ask }
      return key === undefined ? this.hub.publish(publication) : this.hub.speaker.publishOnce(key, publication)
    }
    return admin.act(
      'publish',
      { to: nameOf(to), type, ...(ackTimeoutMs !== undefined && { ack: true }) },
      (): MaybePromise<Publishing> => {
        if (ackTimeoutMs === undefined) return publish()
        if (key === undefined) return this.ask(ackTimeoutMs, publish)
        this.asked.sweep()
        const ask = () => this.ask(ackTimeoutMs, publish)
        return this.asked.once('', key, () => this.askedElsewhere.once(key, ackTimeoutMs, ask))
      },
      ({ id, cursor, online, missing }) => ({
        id,
        ...(cursor !== undefined && { cursor }),
        online,
        ...(missing !== undefined && { missing }),
      }),
    )
  }

  private async ask(
    timeoutMs: number,
    publish: (ask: { id: string; timeoutMs: number }) => Promise<Published>,
  ): Promise<Publishing> {
    const published = Promise.withResolvers<Published>()
    const { answers, missing } = await this.hub.speaker.asks.ask(timeoutMs, async (id) => {
      const done = await publish({ id, timeoutMs })
      published.resolve(done)
      return done.online
    })
    return { ...(await published.promise), acks: answers.map(ackOf), missing }
  }
}

function ackOf({ connectionId, result }: Answer) {
  return { connection_id: connectionId, result }
}

/** The recipient in one word, for the audit log. */
function nameOf(to: Recipient): string {
  switch (to.kind) {
    case 'all':
      return 'all'
    case 'room':
      return `room:${to.room}`
    case 'user':
      return `user:${to.userId}`
    case 'device':
      return `device:${to.userId}/${to.deviceId}`
  }
}
