import { describe, expect, test } from 'bun:test'
import { EmbeddedDirectory } from '../../src/backends/embedded/directory.ts'
import { Admission, type AdmissionLimits } from '../../src/core/admission.ts'
import { Peers } from '../../src/core/peers.ts'
import { Registry } from '../../src/core/registry.ts'
import { TidingsError } from '../../src/protocol/errors.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'

function door(limits: Partial<AdmissionLimits>) {
  const clock = new FakeClock()
  const registry = new Registry()
  const directory = new EmbeddedDirectory({ registry, room: () => undefined, rooms: () => new Map() }, clock)
  const replaced: string[] = []
  const admission = new Admission({
    clock,
    registry,
    directory,
    peers: new Peers(undefined),
    limits: { ...NO_LIMITS, ...limits },
    replace: (session) => {
      registry.remove(session)
      directory.release(session.connectionId)
      replaced.push(session.deviceId)
    },
    reap: () => {},
  })
  return { clock, registry, directory, admission, replaced }
}

const NO_LIMITS = {
  perUser: 0,
  perUserPolicy: 'reject',
  perAddress: 0,
  total: 0,
  totalCluster: 0,
  connectsPerSecond: 0,
} as const

const seat = (connectionId: string) => ({ connectionId, userId: 'alice', deviceId: connectionId, addressKey: 'a' })

function refusal(run: () => unknown): TidingsError | undefined {
  try {
    run()
    return undefined
  } catch (error) {
    if (error instanceof TidingsError) return error
    throw error
  }
}

describe('connects per second', () => {
  test('are counted by address, and come back with time', () => {
    const { admission, clock } = door({ connectsPerSecond: 2 })
    const connect = (address: string) => refusal(() => admission.countConnect(address))
    expect([connect('a'), connect('a'), connect('b')]).toEqual([undefined, undefined, undefined])
    expect(connect('a')).toMatchObject({ errorName: 'rate_limited', retryAfterMs: 500, status: 429 })
    clock.advance(499)
    expect(connect('a')?.retryAfterMs).toBeWithin(1, 3)
    clock.advance(2)
    expect([connect('a'), connect('a')?.errorName]).toEqual([undefined, 'rate_limited'])
  })

  test('of addresses that are silent are forgotten, and nobody gains by it', () => {
    const { admission, clock } = door({ connectsPerSecond: 1 })
    const connect = (address: string) => refusal(() => admission.countConnect(address))
    connect('a')
    admission.sweep()
    expect(connect('a')).toBeDefined()
    clock.advance(1001)
    admission.sweep()
    expect(connect('a')).toBeUndefined()
  })
})

describe('a place', () => {
  test('counts for address and total from the door on, and is given back once', () => {
    const { admission } = door({ perAddress: 1, total: 2 })
    const first = admission.reserveAddress('a')
    expect(refusal(() => admission.reserveAddress('a'))).toMatchObject({ status: 429, close: 4009 })
    const second = admission.reserveAddress('b')
    expect(refusal(() => admission.reserveAddress('c'))).toMatchObject({
      status: 503,
      close: 1013,
      retryAfterMs: 10_000,
    })
    for (const _ of [1, 2, 3]) first.release()
    const third = admission.reserveAddress('a')
    expect(refusal(() => admission.reserveAddress('c'))).toBeDefined()
    second.release()
    third.release()
    for (const address of ['x', 'y']) admission.reserveAddress(address)
    expect(refusal(() => admission.reserveAddress('z'))).toBeDefined()
  })
})

describe('a seat', () => {
  test('of the oldest is taken where the policy says so, one for one', async () => {
    const { admission, registry, replaced, clock } = door({ perUser: 2, perUserPolicy: 'close_oldest' })
    for (const deviceId of ['first', 'second', 'third', 'fourth']) {
      const session = makeSession(clock, {}, undefined, { deviceId })
      await admission.reserveSeat({ ...seat(session.connectionId), deviceId })
      registry.add(session)
    }
    expect(replaced).toEqual(['first', 'second'])
  })

  test('that is taken from a handshake under way is missing when that has ended', async () => {
    const { admission, clock, directory } = door({ perUser: 1, perUserPolicy: 'close_oldest' })
    const [one, two] = [makeSession(clock), makeSession(clock)]
    for (const { connectionId } of [one, two]) await admission.reserveSeat(seat(connectionId))
    expect([one, two].map((session) => directory.list(session))).toEqual(['replaced', undefined])
  })

  test('is refused where the policy says so', async () => {
    const { admission } = door({ perUser: 1 })
    await admission.reserveSeat(seat('one'))
    expect(await admission.reserveSeat(seat('two')).catch((error) => error)).toMatchObject({
      errorName: 'connection_limit',
      status: 429,
      retryAfterMs: 5000,
    })
  })

  test('of a former connection is free for the one that takes it over, if it is the same device', async () => {
    const { admission } = door({ perUser: 1 })
    await admission.reserveSeat({ ...seat('one'), deviceId: 'phone' })
    const taking = (deviceId: string) =>
      admission.reserveSeat({ ...seat(`new ${deviceId}`), deviceId, former: 'one' }).then(
        () => 'seated',
        () => 'refused',
      )
    expect([await taking('laptop'), await taking('phone')]).toEqual(['refused', 'seated'])
  })
})
