/**
 * What is stored nowhere, on its way between the instances of a deployment: messages to who is connected now. They are told
 * at most once, and cost an instance nothing that has nobody to tell them to.
 */
import { isRecord } from '../protocol/frames.ts'
import type { Delivery } from './delivery.ts'
import type { FirstIds } from './first-ids.ts'
import type { ForeignAsks } from './foreign-asks.ts'
import type { Idempotency } from './idempotency.ts'
import { type MaybePromise, whenReady } from './maybe-promise.ts'
import { Message } from './message.ts'
import type { Bus, BusMessage } from './ports/bus.ts'
import type { Publication, Published, Recipient } from './publication.ts'
import type { Rooms } from './rooms.ts'
import { parseLogTopic, roomLog, userLog } from './stored-topics.ts'

export interface RelayDeps {
  /** Absent where this process is the whole deployment: then nothing is told. */
  readonly bus: Bus | undefined
  readonly delivery: Delivery
  readonly rooms: () => Rooms
  readonly idempotency: Idempotency<Published>
  readonly firstIds: FirstIds
  readonly asks: ForeignAsks
  /** The connections that a message is for, over all instances. */
  readonly online: (to: Recipient) => MaybePromise<number>
}

/** What every instance wants to hear. */
const EVERYBODY = 'all'

/** What is told along with a message. */
interface Note {
  /** The key under which it was published: whoever has heard of it does not publish it again. */
  key?: readonly [scope: string, key: string]
  /** It wants answers, for so many milliseconds. */
  ask?: readonly [ackId: string, timeoutMs: number]
}

export class Relay {
  private readonly deps: RelayDeps

  constructor(deps: RelayDeps) {
    this.deps = deps
    deps.bus?.onMessage((topic, message, from) => {
      if (message.kind === 'message') this.hearMessage(topic, message, from)
    })
  }

  /** Hands a message to the other instances that have somebody it is for. */
  publish(to: Recipient, message: Message, { idempotency, ask }: Pick<Publication, 'idempotency' | 'ask'> = {}): void {
    const { bus } = this.deps
    if (bus === undefined) return
    const note: Note = {
      ...(idempotency && { key: [idempotency.scope, idempotency.key] as const }),
      ...(ask && { ask: [ask.id, ask.timeoutMs] as const }),
    }
    const body = `${idempotency || ask ? JSON.stringify(note) : ''}\n${message.json}`
    bus.publish(topicOf(to), { kind: 'message', body, ...(to.kind === 'device' && { device: to.deviceId }) })
  }

  private hearMessage(topic: string, { body, device }: BusMessage, from: string): void {
    const { asks, firstIds, idempotency, online } = this.deps
    const end = body.indexOf('\n')
    const { key, ask } = end === 0 ? {} : readNote(body.slice(0, end))
    const message = Message.relayed(body.slice(end + 1))
    const to = recipientOf(topic, device)
    const id = message.frame.id ?? ''
    if (key !== undefined) {
      const [scope, name] = key
      // Of several who published it at the same time another one may be the first.
      const answer = () =>
        whenReady(firstIds.of(id, { scope, key: name }), (first) =>
          whenReady(online(to), (count) => ({ id: first, online: count })),
        )
      if (!idempotency.note(scope, name, answer)) return
    }
    if (ask !== undefined) asks.add(ask[0], from, ask[1])
    this.deliver(to, message)
  }

  private deliver(to: Recipient, message: Message): void {
    const { delivery, rooms } = this.deps
    const { broadcaster, everybody } = delivery
    if (to.kind === 'user') {
      delivery.toUser(to.userId, message)
    } else if (to.kind === 'device') {
      delivery.toDevice(to.userId, to.deviceId, message)
    } else {
      const topic = to.kind === 'all' ? everybody : rooms().get(to.room)?.topic
      // It is for now or never: where too much is waiting for the topic already, it is dropped.
      if (topic !== undefined && broadcaster.accepts(topic)) broadcaster.publish(topic, message, undefined)
    }
  }
}

function topicOf(to: Recipient): string {
  switch (to.kind) {
    case 'room':
      return roomLog(to.room)
    case 'all':
      return EVERYBODY
    default:
      return userLog(to.userId)
  }
}

function recipientOf(topic: string, deviceId: string | undefined): Recipient {
  if (topic === EVERYBODY) return { kind: 'all' }
  const { kind, name } = parseLogTopic(topic)
  if (kind === 'room') return { kind, room: name }
  return deviceId === undefined ? { kind, userId: name } : { kind: 'device', userId: name, deviceId }
}

function readNote(text: string): Note {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) throw new Error('the note of a relayed message is none')
  const { key, ask } = value
  return {
    ...(isPair(key, 'string') && { key: [key[0], key[1]] }),
    ...(isPair(ask, 'number') && { ask: [ask[0], ask[1]] }),
  }
}

function isPair(value: unknown, second: 'string'): value is [string, string]
function isPair(value: unknown, second: 'number'): value is [string, number]
function isPair(value: unknown, second: string): boolean {
  if (!Array.isArray(value)) return false
  const [first, other] = value as unknown[]
  return typeof first === 'string' && (second === 'string' ? typeof other === 'string' : typeof other === 'number')
}
