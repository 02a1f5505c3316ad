import { describe, expect, test } from 'bun:test'
import { createVerifier } from '../../src/auth/verify.ts'
import { claims, forge, NOW } from './forge.ts'
import { withSecret } from './options.ts'
import { INVALID, refusal } from './outcome.ts'

const verifier = createVerifier(withSecret(), { now: () => NOW })
const identity = (changes: Record<string, unknown> | string) =>
  verifier.verify(forge(typeof changes === 'string' ? changes : claims(changes)))

describe('claims become an identity', () => {
  test('every claim has its place', async () => {
    const found = await identity({
      user_id: 'u-1',
      sub: 'somebody else',
      device_id: 'laptop',
      username: 'Alice',
      name: 'Alice Liddell',
      role: 'editor',
      roles: ['beta', 'editor'],
      rooms: ['lobby', 'protocol:*'],
      room_roles: { lobby: 'admin' },
      meta: { theme: 'dark' },
      jti: 't-1',
    })
    expect(found).toEqual({
      userId: 'u-1',
      deviceId: 'laptop',
      username: 'Alice',
      roles: ['editor', 'beta'],
      rooms: ['lobby', 'protocol:*'],
      roomRoles: { lobby: 'admin' },
      meta: { theme: 'dark' },
      issuedAt: NOW - 10_000,
      expiresAt: NOW + 3_600_000,
      tokenId: 't-1',
    })
  })

  test('ids that are numbers become decimal text', async () => {
    expect(await identity({ sub: 42, device_id: 7 })).toMatchObject({ userId: '42', deviceId: '7' })
    expect((await identity({ sub: undefined, user_id: 0 })).userId).toBe('0')
  })

  test('the name is second to the username, and an empty one is none', async () => {
    expect((await identity({ name: 'Alice' })).username).toBe('Alice')
    expect((await identity({ username: '', name: 'Alice' })).username).toBe('Alice')
    expect(await identity({ username: '', name: null })).not.toHaveProperty('username')
  })

  test('role and roles take one name or several', async () => {
    expect((await identity({ role: ['a', 'b'], roles: 'c' })).roles).toEqual(['a', 'b', 'c'])
    expect((await identity({ role: null })).roles).toEqual([])
  })

  test('null stands for none where no right depends on it', async () => {
    expect(Object.keys(await identity({ device_id: null, meta: null, username: null })).sort()).toEqual([
      'expiresAt',
      'issuedAt',
      'roles',
      'userId',
    ])
  })

  test('an empty list of rooms is kept: it narrows to nothing', async () => {
    expect((await identity({ rooms: [] })).rooms).toEqual([])
  })
})

describe('a badly shaped claim of an authentic token is named', () => {
  const bad: [claim: string, values: unknown[]][] = [
    ['device_id', ['', {}, ['a'], true, 1.5, 'a\nb', 'x'.repeat(257)]],
    ['username', [7, {}, 'a\u0007', 'x'.repeat(257)]],
    ['name', [['Alice'], false]],
    ['role', [7, {}, [7], '', ['']]],
    ['roles', [{ admin: true }, [['admin']], [null], true]],
    ['rooms', [null, 'lobby', {}, [7], [''], ['with space'], ['a'.repeat(129)], ['ok', null]]],
    ['room_roles', [null, [], 'admin', { lobby: 7 }, { lobby: ['admin'] }, { 'with space': 'admin' }, { '': 'admin' }]],
    ['meta', [[], 'text', 7, { big: 'x'.repeat(2048) }, { big: 'é'.repeat(1020) }]],
    ['jti', [null, 7, '', {}, 'x'.repeat(257)]],
  ]
  for (const [claim, values] of bad) {
    test(claim, async () => {
      for (const value of values) {
        expect(await refusal(identity({ [claim]: value }))).toEqual({ ...INVALID, details: { claim } })
      }
    })
  }

  test('meta may have 2048 bytes', async () => {
    const meta = { big: 'x'.repeat(2048 - '{"big":""}'.length) }
    expect((await identity({ meta })).meta).toEqual(meta)
  })
})

describe('names that every object has pollute nothing', () => {
  test('as rooms, roles and users they are names like any other', async () => {
    const found = await identity(
      `{"sub":"__proto__","exp":${NOW / 1000 + 60},"roles":["constructor"],"rooms":["__proto__"],"room_roles":{"__proto__":"admin","constructor":"owner"}}`,
    )
    expect(found.userId).toBe('__proto__')
    expect(found.rooms).toEqual(['__proto__'])
    expect(Object.entries(found.roomRoles ?? {})).toEqual([
      ['__proto__', 'admin'],
      ['constructor', 'owner'],
    ])
    expect('admin' in {}).toBe(false)
  })

  test('nobody has a role in a room that is called like one', async () => {
    const { roomRoles } = await identity({ room_roles: { lobby: 'admin' } })
    expect(roomRoles?.constructor).toBeUndefined()
    expect(roomRoles?.toString).toBeUndefined()
  })

  test('an object under __proto__ does not bring claims of its own', async () => {
    const token = `{"__proto__":{"sub":"bob","role":"admin"},"exp":${NOW / 1000 + 60}}`
    expect(await refusal(identity(token))).toEqual(INVALID)
  })
})
