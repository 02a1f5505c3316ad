/** The log in Redis, as the core sees it: the writer, the reader and the line together. */
import type { MaybePromise } from '../../../core/maybe-promise.ts'
import type {
  Appended,
  CommitListener,
  Entry,
  GapListener,
  MessageLog,
  Positions,
  Selection,
  StoredMessage,
} from '../../../core/ports/log.ts'
import type { Completeness } from '../../../core/recoverable.ts'
import type { Primary } from '../primary.ts'
import type { Line } from './line.ts'
import type { DevicePositions } from './positions.ts'
import type { Reader } from './reader.ts'
import type { Recent } from './recent.ts'
import type { Teller } from './teller.ts'
import type { Writer } from './writer.ts'

export interface MessageLogParts {
  readonly primary: Primary
  readonly teller: Teller
  readonly line: Line
  readonly writer: Writer
  readonly reader: Reader
  readonly recent: Recent
  readonly positions: DevicePositions
  /** Ends what all parts share. */
  readonly close: () => Promise<void>
}

export class RedisMessageLog implements MessageLog {
  private readonly parts: MessageLogParts
  private closing: Promise<void> | undefined

  constructor(parts: MessageLogParts) {
    this.parts = parts
  }

  get failing(): string | undefined {
    const { line, primary, writer } = this.parts
    return primary.reason ?? writer.failing ?? line.failing
  }

  onCommitted(listener: CommitListener): void {
    this.parts.teller.listener = listener
  }

  onGap(listener: GapListener): void {
    this.parts.teller.gapListener = listener
  }

  interest(topic: string, wanted: boolean): MaybePromise<void> {
    return this.parts.line.interest(topic, wanted)
  }

  append(entry: Entry): Promise<Appended> {
    return this.parts.writer.append(entry)
  }

  head(): number {
    return this.parts.teller.head
  }

  read(selection: Selection, after: number, upTo: number, limit: number): MaybePromise<readonly StoredMessage[]> {
    return this.told(upTo)?.read(selection, after, upTo, limit) ?? this.parts.reader.read(selection, after, upTo, limit)
  }

  tail(topic: string, count: number, upTo: number): MaybePromise<readonly StoredMessage[]> {
    return this.told(upTo)?.tail(topic, count, upTo) ?? this.parts.reader.tail(topic, count, upTo)
  }

  count(topic: string, after: number): MaybePromise<number> {
    return this.parts.recent.count(topic, after) ?? this.parts.reader.count(topic, after)
  }

  completeness(topic: string, position?: number): MaybePromise<Completeness> {
    const { line, reader, recent } = this.parts
    if (position !== undefined && recent.covers(topic, position)) return line.completeness(position)
    return reader.completeness(topic)
  }

  positions(userId: string, deviceId: string): Promise<Positions> {
    return this.parts.positions.of(userId, deviceId)
  }

  acknowledge(userId: string, deviceId: string, cursor: number): void {
    this.parts.positions.acknowledge(userId, deviceId, cursor)
  }

  settle(userId: string, deviceId: string): Promise<void> {
    return this.parts.positions.settle(userId, deviceId)
  }

  introduce(userId: string, deviceId: string, cursor: number): Promise<void> {
    return this.parts.positions.introduce(userId, deviceId, cursor)
  }

  /** What is in memory, where nothing is asked for that another instance may have stored and that was not told here yet. */
  private told(upTo: number): Recent | undefined {
    const { recent, teller } = this.parts
    return upTo > teller.head ? undefined : recent
  }

  close(): Promise<void> {
    this.closing ??= this.parts.close()
    return this.closing
  }
}
