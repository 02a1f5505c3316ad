import { describe, expect, test } from 'bun:test'
import { EmbeddedSlots } from '../../src/backends/embedded/slots.ts'
import { Admission, type AdmissionLimits } from '../../src/core/admission.ts'
import { Registry } from '../../src/core/registry.ts'
import { TidingsError } from '../../src/protocol/errors.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'

function door(limits: Partial<AdmissionLimits>) {
  const clock = new FakeClock()
  const registry = new Registry()
  const slots = new EmbeddedSlots()
  const replaced: string[] = []
  const admission = new Admission({
    clock,
    registry,
    slots,
    limits: { perUser: 0, perUserPolicy: 'reject', perAddress: 0, total: 0, connectsPerSecond: 0, ...limits },
    replace: (session) => {
      registry.remove(session)
      slots.release(session.userId)
      replaced.push(session.deviceId)
    },
    reap: () => {},
  })
  return { clock, registry, slots, admission, replaced }
}

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

describe('a slot', () => {
  test('of the oldest is taken where the policy says so, one for one', async () => {
    const { admission, registry, replaced, clock } = door({ perUser: 2, perUserPolicy: 'close_oldest' })
    for (const deviceId of ['first', 'second', 'third', 'fourth']) {
      await admission.reserveUser('alice', deviceId)
      registry.add(makeSession(clock, {}, undefined, { deviceId }))
    }
    expect(replaced).toEqual(['first', 'second'])
  })

  test('that is held by a handshake under way cannot be taken', async () => {
    const { admission } = door({ perUser: 1, perUserPolicy: 'close_oldest' })
    await admission.reserveUser('alice', 'one')
    expect(await admission.reserveUser('alice', 'two').catch((error) => error)).toMatchObject({
      errorName: 'connection_limit',
      status: 429,
      retryAfterMs: 5000,
    })
  })
})
