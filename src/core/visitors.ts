/**
 * Those who send a frame without being connected. Each user has one such place for each device that it names, so that its
 * frames keep their order and meet the limits of a connection; it is forgotten when nothing has come for a while.
 */
import { encodingFor } from '../protocol/encoding.ts'
import type { Clock } from './clock.ts'
import type { Identity } from './identity.ts'
import { newConnectionId } from './ids.ts'
import type { RateLimiter, RateState } from './rate-limit.ts'
import { Session } from './session.ts'
import type { Wire } from './wire.ts'

/** Milliseconds after which a user's places are forgotten: longer than a full throttle takes to pass. */
const FORGET_AFTER_MS = 60_000
/**
 * Devices of one user that have a place at a time. The client chooses their names: with a new one in each request it would
 * take memory as fast as it sends.
 */
const MAX_PLACES = 16

/** What a visitor's request says of where it comes from. */
export interface Visit {
  readonly identity: Identity
  readonly deviceId: string
  readonly ip: string
  readonly addressKey: string
}

interface User {
  /** Shared by all places of the user: another device is no other allowance. */
  readonly rate: RateState
  readonly places: Map<string, Session>
  /** Monotonic milliseconds of the last visit. */
  last: number
}

export class Visitors {
  private readonly users = new Map<string, User>()
  private readonly clock: Clock
  private readonly limiter: RateLimiter

  constructor(clock: Clock, limiter: RateLimiter) {
    this.clock = clock
    this.limiter = limiter
  }

  /** The place of whoever sends this request. */
  of({ identity, deviceId, ip, addressKey }: Visit): Session {
    const { userId } = identity
    const now = this.clock.monotonic()
    const user = this.users.get(userId) ?? { rate: this.limiter.fresh(now), places: new Map(), last: now }
    this.users.set(userId, user)
    user.last = now
    const present = user.places.get(deviceId)
    if (present !== undefined) {
      present.identity = identity
      // The last one that was used is the last one to go.
      user.places.delete(deviceId)
      user.places.set(deviceId, present)
      return present
    }
    const [longestUnused] = user.places.keys()
    if (longestUnused !== undefined && user.places.size >= MAX_PLACES) user.places.delete(longestUnused)
    const place = new Session(
      {
        connectionId: newConnectionId(),
        identity,
        deviceId,
        encoding: encodingFor('json', 'payload'),
        ip,
        addressKey,
        userAgent: undefined,
        explicitAck: true,
        durableDevice: false,
        connectedAt: this.clock.now(),
        since: now,
      },
      NOBODY,
    )
    place.state = 'open'
    place.rate = user.rate
    user.places.set(deviceId, place)
    return place
  }

  /** Forgets who has not come for a while. Called about once a second. */
  sweep(): void {
    const now = this.clock.monotonic()
    for (const [userId, { last }] of this.users) if (now - last > FORGET_AFTER_MS) this.users.delete(userId)
  }
}

/** The wire of those who are not there: what would be sent to them is for nobody. */
const NOBODY: Wire = {
  transport: 'none',
  native: false,
  silence: 'watched',
  send: () => {},
  sendAll: () => {},
  subscribe: () => {},
  unsubscribe: () => {},
  publish: () => true,
  probe: () => {},
  bufferedBytes: () => 0,
  end: () => {},
}
