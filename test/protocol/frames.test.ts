import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { TidingsError } from '../../src/protocol/errors.ts'
import {
  BUILT_IN_TYPES,
  frameIdOf,
  isReservedType,
  parseClientFrame,
  parseTarget,
  SERVER_TYPES,
} from '../../src/protocol/frames.ts'
import { wireValues } from './values.ts'

function field(read: () => unknown): unknown {
  try {
    return { accepted: read() }
  } catch (error) {
    if (!(error instanceof TidingsError)) throw error
    expect(error.errorName).toBe('invalid_message')
    return error.details?.['field']
  }
}

describe('a frame', () => {
  test('is read in one spelling', () => {
    const frame = { type: 'chat', id: 'c-17', to: { room: 'lobby' }, payload: { text: 'hi' }, ephemeral: true }
    expect(parseClientFrame(frame)).toStrictEqual({
      type: 'chat',
      id: 'c-17',
      to: { kind: 'room', room: 'lobby' },
      payload: { text: 'hi' },
      ephemeral: true,
    })
  })

  test('needs nothing but a type', () => {
    const nothing = { id: undefined, to: undefined, payload: undefined, ephemeral: false }
    expect(parseClientFrame({ type: 'ping' })).toStrictEqual({ type: 'ping', ...nothing })
    expect(parseClientFrame({ type: 'ping', id: null, to: null })).toStrictEqual({ type: 'ping', ...nothing })
  })

  test('may call its payload data; where both are given payload is meant', () => {
    expect(parseClientFrame({ type: 'a', data: 1 }).payload).toBe(1)
    expect(parseClientFrame({ type: 'a', data: 1, payload: 2 }).payload).toBe(2)
    expect(parseClientFrame({ type: 'a', data: 1, payload: null }).payload).toBeNull()
  })

  test('cannot say who sent it, when, or where it stands', () => {
    const forged = {
      sender: { user_id: 'bob' },
      timestamp: 1,
      cursor: '1',
      room: 'x',
      correlation_id: 'y',
      ack_id: 'z',
    }
    expect(parseClientFrame({ type: 'a', ...forged })).toStrictEqual(parseClientFrame({ type: 'a' }))
  })

  test.each([[null], [undefined], [1], ['frame'], [[]], [new Uint8Array([1])]])('is not %j', (value) => {
    expect(field(() => parseClientFrame(value))).toBe('frame')
  })

  test.each([[''], [' '], ['a b'], ['a/b'], ['é'], ['x'.repeat(65)], [1], [null], [['a']], ['a\n']])(
    'has no type %j',
    (type) => {
      expect(field(() => parseClientFrame({ type }))).toBe('type')
    },
  )

  test('has a type of up to 64 characters', () => {
    expect(parseClientFrame({ type: 'aZ09_.:-'.repeat(8) }).type).toHaveLength(64)
  })

  test.each([[''], [1], [{}], ['x'.repeat(65)], [true]])('has no id %j', (id) => {
    expect(field(() => parseClientFrame({ type: 'a', id }))).toBe('id')
    expect(frameIdOf({ id })).toBeUndefined()
  })

  test('whose type is refused still has an id to answer to', () => {
    expect(frameIdOf({ type: 5, id: 'c-1' })).toBe('c-1')
    expect(frameIdOf('c-1')).toBeUndefined()
  })

  test.each([[1], ['true'], [null]])('is not ephemeral %j', (ephemeral) => {
    expect(field(() => parseClientFrame({ type: 'a', ephemeral }))).toBe('ephemeral')
  })
})

describe('a recipient', () => {
  test.each<[unknown, unknown]>([
    ['all', { kind: 'all' }],
    [{ room: 'protocol:a@b.c-1' }, { kind: 'room', room: 'protocol:a@b.c-1' }],
    [{ user_id: 'bob' }, { kind: 'user', userId: 'bob' }],
    [{ user_id: 17 }, { kind: 'user', userId: '17' }],
    [
      { user_id: 'bob', device_id: 'phone' },
      { kind: 'device', userId: 'bob', deviceId: 'phone' },
    ],
    [
      { user_id: 'bob', device_id: null },
      { kind: 'user', userId: 'bob' },
    ],
    [{ device_id: 'phone' }, { kind: 'device', deviceId: 'phone' }],
  ])('%j is read', (to, target) => {
    expect(parseTarget(to)).toEqual(target as never)
    expect(parseClientFrame({ type: 'a', to }).to).toEqual(target as never)
  })

  test.each<[unknown, string]>([
    ['everyone', 'to'],
    ['', 'to'],
    [5, 'to'],
    [['all'], 'to'],
    [{}, 'to'],
    [{ user: 'bob' }, 'to'],
    [{ room: '' }, 'to.room'],
    [{ room: 'a b' }, 'to.room'],
    [{ room: 'user/bob' }, 'to.room'],
    [{ room: 'a\u0000' }, 'to.room'],
    [{ room: 'ｌobby' }, 'to.room'],
    [{ room: '%6cobby' }, 'to.room'],
    [{ room: 'x'.repeat(129) }, 'to.room'],
    [{ room: { room: 'a' } }, 'to.room'],
    [{ room: ['a'] }, 'to.room'],
    [{ room: undefined, user_id: 'bob' }, 'to.room'],
    // What is meant for one must not be told to a whole room because both are named.
    [{ room: 'lobby', user_id: 'bob' }, 'to'],
    [{ room: 'lobby', device_id: 'phone' }, 'to'],
    [{ user_id: '' }, 'to.user_id'],
    [{ user_id: 'a\u0000b' }, 'to.user_id'],
    [{ user_id: 'x'.repeat(257) }, 'to.user_id'],
    [{ user_id: 1.5 }, 'to.user_id'],
    [{ user_id: { id: 'bob' } }, 'to.user_id'],
    [{ user_id: 'bob', device_id: '' }, 'to.device_id'],
    [{ device_id: ['phone'] }, 'to.device_id'],
  ])('%j is refused, naming the field', (to, name) => {
    expect(field(() => parseClientFrame({ type: 'a', to }))).toBe(name)
  })

  test('may stand at the top level', () => {
    expect(parseClientFrame({ type: 'a', recipient_user_id: 7 }).to).toEqual({ kind: 'user', userId: '7' })
    expect(parseClientFrame({ type: 'a', recipient_user_id: 'bob', recipient_device_id: 'phone' }).to).toEqual({
      kind: 'device',
      userId: 'bob',
      deviceId: 'phone',
    })
    expect(field(() => parseClientFrame({ type: 'a', recipient_user_id: '' }))).toBe('recipient_user_id')
    expect(field(() => parseClientFrame({ type: 'a', recipient_device_id: {} }))).toBe('recipient_device_id')
  })
})

test('the types of both directions are the protocol’s own, and no others', () => {
  for (const type of [...BUILT_IN_TYPES, ...SERVER_TYPES]) expect(isReservedType(type)).toBe(true)
  for (const type of ['chat', 'Ping', 'ping ', 'constructor', '__proto__', 'toString']) {
    expect(isReservedType(type)).toBe(false)
  }
})

test('any value is a frame, or is refused with an error for the client', () => {
  const key = fc.constantFrom('type', 'id', 'to', 'payload', 'data', 'ephemeral', 'recipient_user_id', '__proto__')
  const inner = fc.constantFrom('room', 'user_id', 'device_id')
  const value = fc.oneof(
    wireValues(),
    fc.constantFrom('all', 'chat', 'lobby'),
    fc.dictionary(inner, fc.oneof(wireValues(), fc.constant('lobby'))),
  )
  fc.assert(
    fc.property(fc.oneof(wireValues(), fc.dictionary(key, value)), (input) => {
      try {
        parseClientFrame(input)
      } catch (error) {
        expect(error).toBeInstanceOf(TidingsError)
      }
    }),
    { numRuns: 1000 },
  )
})
