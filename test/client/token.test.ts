import { expect, test } from 'bun:test'
import { Tokens } from '../../src/client/token.ts'

function provider() {
  const reasons: string[] = []
  const tokens = new Tokens((reason) => {
    reasons.push(reason)
    return `token-${reasons.length}`
  })
  return { tokens, reasons }
}

test('a token is fetched once and kept through reconnects', async () => {
  const { tokens, reasons } = provider()
  expect([await tokens.get(), await tokens.get()]).toEqual(['token-1', 'token-1'])
  expect(reasons).toEqual(['connect'])
})

test('a refused token is replaced once; a fresh one that is refused too is the end', async () => {
  const { tokens, reasons } = provider()
  await tokens.get()
  expect(tokens.retire()).toBe(true)
  expect(await tokens.get()).toBe('token-2')
  expect(tokens.retire()).toBe(false)
  expect(reasons).toEqual(['connect', 'refused'])
})

test('a token that was accepted in between gives the next one its chance', async () => {
  const { tokens } = provider()
  await tokens.get()
  tokens.retire()
  tokens.accepted()
  expect(tokens.retire()).toBe(true)
})

test('a token that is about to expire is replaced in time', async () => {
  const { tokens, reasons } = provider()
  await tokens.get()
  expect(await tokens.renew()).toBe('token-2')
  expect(await tokens.get()).toBe('token-2')
  expect(reasons).toEqual(['connect', 'expiring'])
})

test('a fixed token cannot be replaced', async () => {
  const tokens = new Tokens('fixed')
  expect(await tokens.get()).toBe('fixed')
  expect(tokens.renewable).toBe(false)
  expect(tokens.retire()).toBe(false)
})

test('a provider that throws is told with its words, and asked again the next time', async () => {
  let fail = true
  const tokens = new Tokens(() => {
    if (fail) throw new Error('offline')
    return 'token'
  })
  const message = 'The token provider failed: Error: offline'
  expect(await tokens.get().catch((error) => ({ ...error, message: error.message }))).toMatchObject({
    reason: 'no_token',
    reconnect: true,
    message,
  })
  fail = false
  expect(await tokens.get()).toBe('token')
})
