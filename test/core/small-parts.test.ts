import { describe, expect, test } from 'bun:test'
import { toTimestamp } from '../../src/core/clock.ts'
import { newConnectionId, newMessageId } from '../../src/core/ids.ts'
import { mergePatch } from '../../src/core/merge-patch.ts'
import { MultiMap } from '../../src/core/multimap.ts'
import { parseRoomList } from '../../src/core/opening.ts'
import { Registry } from '../../src/core/registry.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession } from '../support/sessions.ts'

describe('a merge patch', () => {
  // The cases of RFC 7396, appendix A.
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('of %j with %j is %j', (target: unknown, patch: unknown, expected: unknown) => {
    const [before, change] = [JSON.stringify(target), JSON.stringify(patch)]
    expect(mergePatch(target, patch)).toEqual(expected)
    expect([JSON.stringify(target), JSON.stringify(patch)]).toEqual([before, change])
  })
})

describe('a multimap', () => {
  test('gives the values of a key in the order of adding, whether one or many', () => {
    const map = new MultiMap<string, object>()
    const [a, b, c] = [{ n: 'a' }, { n: 'b' }, { n: 'c' }]
    for (const value of [a, b, b, c]) map.add('k', value)
    expect([[...map.get('k')], map.count('k'), map.first('k'), map.size]).toEqual([[a, b, c], 3, a, 1])
    map.delete('k', a)
    map.delete('k', b)
    map.delete('k', b)
    expect([[...map.get('k')], map.count('k'), map.has('k')]).toEqual([[c], 1, true])
    map.delete('k', a)
    map.delete('k', c)
    expect([[...map.get('k')], map.count('k'), map.has('k'), map.size, map.first('k')]).toEqual([
      [],
      0,
      false,
      0,
      undefined,
    ])
    expect([...map.keys()]).toEqual([])
  })
})

describe('the registry', () => {
  test('finds connections by each of their names, and forgets them whole, once', () => {
    const registry = new Registry()
    const clock = new FakeClock()
    const [phone, laptop, other] = [
      makeSession(clock, { userId: 'alice' }, undefined, { deviceId: 'phone' }),
      makeSession(clock, { userId: 'alice' }, undefined, { deviceId: 'laptop' }),
      makeSession(clock, { userId: 'bob' }, undefined, { deviceId: 'phone', addressKey: '10.0.0.1' }),
    ]
    for (const session of [phone, laptop, other]) registry.add(session)
    expect([...registry.all()]).toEqual([phone, laptop, other])
    expect([...registry.ofDevice('alice', 'phone')]).toEqual([phone])
    expect([...registry.byDevice.get('phone')]).toEqual([phone, other])
    expect(registry.byAddress.count('127.0.0.1')).toBe(2)
    for (const session of [phone, phone, laptop, other]) registry.remove(session)
    const { byUser, byDevice, byAddress } = registry
    expect([registry.size, byUser.size, byDevice.size, byAddress.size]).toEqual([0, 0, 0, 0])
    expect(registry.get(phone.connectionId)).toBeUndefined()
  })
})

test('ids are never the same', () => {
  const ids = new Set(Array.from({ length: 20_000 }, (_, n) => (n % 2 ? newMessageId() : newConnectionId())))
  expect(ids.size).toBe(20_000)
})

test('a timestamp is seconds with milliseconds', () => {
  expect([toTimestamp(1_763_600_000_123), toTimestamp(1_763_600_000_123.6)]).toEqual([
    1_763_600_000.123, 1_763_600_000.124,
  ])
})

test('a list of rooms names each once', () => {
  expect([parseRoomList(null), parseRoomList(''), parseRoomList('a,b,a')]).toEqual([[], [], ['a', 'b']])
})

// Cut, it would leave out rooms of which the client hears nothing and believes that it is in them.
test('a list of more than a thousand rooms is refused, not cut', () => {
  const names = Array.from({ length: 1001 }, (_, n) => `${n}`)
  expect(parseRoomList(names.slice(1).join())).toEqual(names.slice(1))
  expect(() => parseRoomList(names.join())).toThrow('At most 1000 rooms can be named, not 1001')
})
