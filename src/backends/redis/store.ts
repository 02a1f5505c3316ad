/** The store in Redis, for any number of instances: the log, the rooms' states, the bus, the directory, what is shared. */
import type { Clock } from '../../core/clock.ts'
import { CursorClock } from '../../core/cursor-clock.ts'
import type { Log } from '../../core/log.ts'
import type { RoomStates } from '../../core/ports/backend.ts'
import type { Bus } from '../../core/ports/bus.ts'
import type { MessageLog } from '../../core/ports/log.ts'
import type { Revocations } from '../../core/ports/revocations.ts'
import type { Shelf } from '../../core/ports/shelf.ts'
import type { Tickets } from '../../core/ports/tickets.ts'
import { parseAddress } from './address.ts'
import { BackendError } from './backend-error.ts'
import { RedisBus } from './bus.ts'
import { RedisDirectory } from './directory/directory.ts'
import { Keys } from './keys.ts'
import { Hearing } from './log/hearing.ts'
import { Line } from './log/line.ts'
import { Maintenance } from './log/maintenance.ts'
import { Markers } from './log/markers.ts'
import { RedisMessageLog } from './log/message-log.ts'
import { Missed } from './log/missed.ts'
import { DevicePositions } from './log/positions.ts'
import { Reader } from './log/reader.ts'
import { Recent } from './log/recent.ts'
import { Teller } from './log/teller.ts'
import { Topics } from './log/topics.ts'
import { Writer } from './log/writer.ts'
import { Primary } from './primary.ts'
import { RedisRevocations } from './revocations.ts'
import { RedisRoomStates } from './room-states.ts'
import { RedisShelf } from './shelf.ts'
import { RedisTickets } from './tickets.ts'

export interface RedisStoreOptions {
  /** `redis.url`. */
  readonly url: string
  /** `redis.prefix`. */
  readonly prefix: string
  /** `redis.min_replicas`. */
  readonly minReplicas: number
  /** This instance's name in Redis' list of clients. */
  readonly instance: string
  /** Milliseconds for which the answer to a keyed publish is remembered. */
  readonly idempotencyMs: number
  /** Milliseconds for which emptied topics are remembered: at least the longest age for which messages are kept. */
  readonly horizonMs: number
  /** Bytes of one room's state as JSON. */
  readonly maxStateBytes: number
  /** Bytes of one message as it is stored, at most: what is larger on the bus is none of ours. Default {@link MAX_BUS_BYTES}. */
  readonly maxMessageBytes?: number
  /** Bytes of messages that may wait to be stored. Default {@link MAX_QUEUE_BYTES}. */
  readonly maxQueueBytes?: number
  /** Milliseconds between two renewals of the lease under which this instance answers for its connections. */
  readonly leaseRenewMs?: number
  /** Milliseconds for which a start waits for Redis. Default {@link START_PATIENCE_MS}. */
  readonly startPatienceMs?: number
  /** Milliseconds between two steps of housekeeping, of some hundred topics each. Default 10 seconds. */
  readonly forgetIntervalMs?: number
  readonly clock: Clock
  readonly log: Log
}

export interface RedisStore {
  readonly messages: MessageLog & Required<Pick<MessageLog, 'interest' | 'onGap' | 'settle'>>
  readonly states: RoomStates
  readonly bus: Bus
  readonly directory: RedisDirectory
  readonly tickets: Tickets
  readonly revocations: Revocations
  readonly shelf: Shelf
  /** Counts, since the start. */
  readonly counters: () => RedisCounters
  /**
   * Waits until messages can be stored and are told. Called once.
   * @throws BackendError (rejected) with a line for the operator; the store is closed then.
   */
  begin(): Promise<void>
  /** Writes what is waiting and disconnects. Can be called again. */
  close(): Promise<void>
}

export interface RedisCounters {
  /** Bus messages that were none of ours: damaged, too large, of another version, or of an epoch that is over. */
  readonly busIgnored: number
  /** Messages for other instances that were lost because Redis took none. */
  readonly busDropped: number
  /** How often this instance has read what it had missed from the log. */
  readonly lineLevelled: number
}

/** 32 MiB: at full speed written in a second, and small beside the memory of as many connections as it takes to fill it. */
const MAX_QUEUE_BYTES = 32 * 1024 * 1024
/** 8 MiB: above whatever `limits.max_message_bytes` may reasonably be, and no danger to a process. */
const MAX_BUS_BYTES = 8 * 1024 * 1024
/** Milliseconds for which a start waits for Redis: longer than its own start with some data to read. */
const START_PATIENCE_MS = 10_000
/** What is published to it concerns every instance. */
const EVERYBODY = 'all'

/**
 * Makes a store, which begins to connect to Redis. It is used when its {@link RedisStore.begin} has ended.
 * @throws BackendError with a line for the operator where `redis.url` is none.
 */
export function createRedisStore(options: RedisStoreOptions): RedisStore {
  const { clock, horizonMs, idempotencyMs, log, minReplicas } = options
  // A process that takes another one's place under the same name must not be taken for it.
  const instance = `${options.instance.replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 40)}-${crypto.getRandomValues(new Uint8Array(6)).toBase64({ alphabet: 'base64url' })}`
  const address = parseAddress(options.url)
  const keys = new Keys(options.prefix)
  const wallMs = (): number => clock.now()
  const monotonic = (): number => clock.monotonic()
  const cursorClock = new CursorClock({ wallMs: wallMs(), monotonic, last: 0 })
  let giveUp: (error: BackendError) => void = (error) => log.error('redis_unusable', { reason: error.message })

  const primary = new Primary(
    { address, keys, instance, ownWriter: minReplicas > 0, clock: cursorClock, log },
    {
      onCommands: () => {
        line.onCommands()
        writer.wake()
        directory.onCommands()
      },
      onSubscriber: (subscriber) => {
        attendances.onSilence()
        line.onSubscriber(subscriber)
        void line.live().then(() => attendances.onSubscribed())
      },
      onSilence: () => {
        attendances.onSilence()
        line.onSilence()
      },
      onEpoch: (epoch, before) => {
        line.onEpoch(epoch, before)
        if (before === undefined) return
        writer.lost(epoch.floor)
        directory.onEpoch()
      },
      onHopeless: (error) => giveUp(error),
    },
  )
  const teller = new Teller(log, (head) => writer.told(head))
  const reader = new Reader({ primary, keys, clock: cursorClock, horizon: horizonMs * 1000 })
  const recent = new Recent(wallMs)
  const writer = new Writer({
    primary,
    keys,
    instance,
    clock: cursorClock,
    monotonic,
    log,
    idempotencyMs,
    minReplicas,
    maxQueueBytes: options.maxQueueBytes ?? MAX_QUEUE_BYTES,
    head: () => teller.head,
    onSend: () => bus.flush(),
  })
  const bus = new RedisBus({ keys, instance, redis: () => primary.redis, log })
  const ownChannel = keys.instanceChannel(instance)
  const markers = new Markers({
    primary,
    keys,
    ownChannel,
    clock: cursorClock,
    onWritable: () => writer.recovered(),
  })
  const topics = new Topics(keys, monotonic)
  const maxMessageBytes = options.maxMessageBytes ?? MAX_BUS_BYTES
  const directory = new RedisDirectory({ primary, keys, instance, renewMs: options.leaseRenewMs, clock, log })
  const { attendances } = directory
  const hearing = new Hearing({ primary, topics, teller, bus, attendances, ownChannel, maxMessageBytes, monotonic })
  const line = new Line({
    primary,
    topics,
    hearing,
    markers,
    ownChannel,
    clock: cursorClock,
    horizon: horizonMs * 1000,
    monotonic,
    missed: new Missed({ markers, reader, recent, teller, originOf: (id) => writer.originOf(id) }),
    recent,
    teller,
    log,
  })
  const positions = new DevicePositions({ primary, keys, horizonMs })
  const states = new RedisRoomStates({ primary, keys, maxStateBytes: options.maxStateBytes })
  const maintenance = new Maintenance({
    primary,
    keys,
    clock: cursorClock,
    horizon: horizonMs * 1000,
    intervalMs: options.forgetIntervalMs,
    log,
  })

  async function close(): Promise<void> {
    maintenance.stop()
    states.stop()
    await writer.close()
    await positions.flush()
    await directory.close()
    positions.close()
    line.close()
    bus.close()
    primary.stop()
  }

  const messages = new RedisMessageLog({ primary, teller, line, writer, reader, recent, positions, close })
  async function begin(): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        giveUp = reject
        const timeout = setTimeout(() => {
          const reason = primary.reason ?? line.standing ?? 'Redis does not answer'
          reject(new BackendError(`${reason}. Start it, or correct redis.url.`))
        }, options.startPatienceMs ?? START_PATIENCE_MS)
        const ready = async (): Promise<void> => {
          await line.live()
          await line.interest(EVERYBODY, true)
          await directory.begin()
          clearTimeout(timeout)
        }
        ready().then(resolve, reject)
      })
    } catch (error) {
      await close()
      throw error
    }
    giveUp = (error) => log.error('redis_unusable', { reason: error.message })
  }

  return {
    messages,
    states,
    bus,
    directory,
    tickets: new RedisTickets(primary, keys),
    revocations: new RedisRevocations(primary, keys),
    shelf: new RedisShelf(primary, keys),
    begin,
    counters: () => ({ busIgnored: hearing.ignored, busDropped: bus.dropped, lineLevelled: line.levelled }),
    close: () => messages.close(),
  }
}
