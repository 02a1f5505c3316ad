import { describe, expect, test } from 'bun:test'
import { bearer, type CredentialSources, findCredentials } from '../../src/auth/credentials.ts'

const find = (sources: Partial<Omit<CredentialSources, 'query'>> & { query?: string }) =>
  findCredentials({
    authorization: null,
    protocols: null,
    cookie: null,
    cookieName: undefined,
    originPresentAndAllowed: false,
    ...sources,
    query: new URLSearchParams(sources.query ?? ''),
  })

describe('credentials', () => {
  test('are found in each of their places', () => {
    const token = (from: string) => ({ credentials: { kind: 'token', value: 'a.b.c', from } })
    expect(find({ query: 'x=1&token=a.b.c' })).toMatchObject(token('query'))
    expect(find({ query: 'ticket=t1' })).toEqual({ credentials: { kind: 'ticket', value: 't1', from: 'query' } })
    expect(find({ authorization: 'Bearer a.b.c' })).toMatchObject(token('header'))
    expect(find({ protocols: 'tidings.v1.json, token.a.b.c' })).toMatchObject(token('subprotocol'))
    expect(find({ cookie: 's=a.b.c', cookieName: 's', originPresentAndAllowed: true })).toMatchObject(token('cookie'))
  })

  test('are absent where nothing is shown, or nothing that counts', () => {
    for (const sources of [
      {},
      { query: 'token=&ticket=' },
      { authorization: 'Basic YTpi' },
      { authorization: 'Bearer ' },
      { protocols: 'token., tokenx, graphql-ws' },
      { cookie: 's=', cookieName: 's', originPresentAndAllowed: true },
      { cookie: 'other=a.b.c; xs=a; s', cookieName: 's', originPresentAndAllowed: true },
    ]) {
      expect(find(sources).credentials).toBeUndefined()
    }
  })

  /** Browsers send cookies along for any page: without this, every site could act as its visitors. */
  test('in a cookie count only with an allowed origin, and only in the named cookie', () => {
    const cookie = 's=a.b.c'
    expect(find({ cookie, cookieName: 's', originPresentAndAllowed: false }).credentials).toBeUndefined()
    expect(find({ cookie, cookieName: undefined, originPresentAndAllowed: true }).credentials).toBeUndefined()
  })

  test('are taken from the first place that has some', () => {
    const all = {
      query: 'ticket=ticket&token=query',
      authorization: 'Bearer header',
      protocols: 'token.subprotocol',
      cookie: 's=cookie',
      cookieName: 's',
      originPresentAndAllowed: true,
    }
    const order: string[] = []
    for (const without of [
      {},
      { query: 'ticket=ticket' },
      { query: '' },
      { authorization: null },
      { protocols: null },
    ]) {
      Object.assign(all, without)
      order.push(find(all).credentials?.value ?? 'none')
    }
    expect(order).toEqual(['query', 'ticket', 'header', 'subprotocol', 'cookie'])
  })

  test('in a cookie may be quoted, and the first of two wins', () => {
    const sources = { cookieName: 's', originPresentAndAllowed: true }
    expect(find({ ...sources, cookie: 'a=1;s="a.b.c"; b=2' }).credentials?.value).toBe('a.b.c')
    expect(find({ ...sources, cookie: 's=first; s=second' }).credentials?.value).toBe('first')
  })
})

describe('the subprotocol answered', () => {
  const answered: [offered: string | null, answer: string | undefined][] = [
    [null, undefined],
    ['', undefined],
    ['tidings.v1.json', 'tidings.v1.json'],
    ['tidings.v1.msgpack, tidings.v1.json', 'tidings.v1.msgpack'],
    ['graphql-ws, tidings.v1.json', 'tidings.v1.json'],
    ['token.a.b.c, tidings.v1.msgpack', 'tidings.v1.msgpack'],
    ['token.a.b.c', 'token.a.b.c'],
    [' token.a.b.c ,', 'token.a.b.c'],
    ['token.a.b.c, graphql-ws', undefined],
    ['token.a.b.c, token.d.e.f', undefined],
    ['token.', undefined],
    ['graphql-ws', undefined],
    ['TIDINGS.V1.JSON', undefined],
    ['__proto__', undefined],
  ]
  for (const [offered, answer] of answered) {
    test(`to ${JSON.stringify(offered)} is ${answer ?? 'none'}`, () => {
      expect(find({ protocols: offered }).subprotocol).toBe(answer)
    })
  }
})

test('bearer is a scheme in any case, followed by exactly one value', () => {
  expect(['Bearer x', 'bearer   x ', 'BEARER x'].map(bearer)).toEqual(['x', 'x', 'x'])
  expect([null, '', 'Bearer', 'Bearer x y', 'Bearerx', 'x Bearer y'].map(bearer)).toEqual(Array(6).fill(undefined))
})
