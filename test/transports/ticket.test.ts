import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { TicketOffice } from '../../src/auth/tickets.ts'
import { EmbeddedTickets } from '../../src/backends/embedded/tickets.ts'
import { Scopes } from '../../src/core/revocation.ts'
import { RevokedTokens } from '../../src/core/revoked-tokens.ts'
import { RefusedError, startTestServer, type TestServer, type Who } from '../../src/testing/index.ts'
import { FakeClock } from '../support/clock.ts'
import { Poller, Stream } from '../support/http.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

async function ticketOf(server: TestServer, who: Who): Promise<string> {
  const headers = { authorization: `Bearer ${await server.token(who)}` }
  const response = await fetch(`${server.url}/realtime/ticket`, { method: 'POST', headers })
  const { ticket, expires_in } = (await response.json()) as { ticket: string; expires_in: number }
  expect([response.status, expires_in, response.headers.get('cache-control')]).toEqual([200, 30, 'no-store'])
  return ticket
}

/** A stream, and what it says of itself, opened with nothing but a ticket. */
async function streamWith(server: TestServer, ticket: string, headers: Record<string, string> = {}, query = {}) {
  const stream = await Stream.open(server, { user: 'x' }, { ticket, ...query }, { authorization: '', ...headers })
  const welcome = stream.response.ok ? payloadOf((await stream.frame('welcome')).frame) : undefined
  return { stream, welcome, status: stream.response.status }
}

describe('a ticket', () => {
  test.concurrent('opens one WebSocket, as who it was given to', async () => {
    await using server = await startTestServer()
    const ticket = await ticketOf(server, { user: 'alice', device: 'd', name: 'Alice', roles: ['staff'] })
    const query = { token: '', ticket }
    await using client = await server.connect({ user: 'nobody', query })
    const { payload } = await client.request({ type: 'who_am_i' })
    expect(payload).toMatchObject({ user_id: 'alice', device_id: 'd', username: 'Alice', roles: ['staff'] })
    const again = await server.connect({ user: 'nobody', query }).catch((error: unknown) => error)
    expect(again).toBeInstanceOf(RefusedError)
    expect((again as RefusedError).error?.error_code).toBe('invalid_token')
    await client.close()
    expect(await server.connect({ user: 'nobody', query }).catch((error) => error.error.error_code)).toBe(
      'invalid_token',
    )
  })

  test.concurrent('lets one in of many who bring it at the same time', async () => {
    await using server = await startTestServer({ config: { limits: { per_user: 0 } } })
    const ticket = await ticketOf(server, { user: 'alice' })
    const outcomes = await Promise.all([...Array(20)].map(() => streamWith(server, ticket)))
    const alive = outcomes.filter(({ status }) => status === 200)
    for (const { stream } of alive) stream.leave()
    // Whoever brings it again takes the session over: of those that were let in, one is left.
    expect(alive.length).toBeGreaterThan(0)
    await until(() => server.hub.registry.size === 0)
  })

  test.concurrent('comes again with its event stream, which has everything back, as often as it is cut', async () => {
    await using server = await startTestServer({
      config: { rooms: [{ pattern: 'kept', history: { max_messages: 10 } }] },
    })
    const ticket = await ticketOf(server, { user: 'alice' })
    const first = await streamWith(server, ticket, {}, { rooms: 'kept' })
    let lastId = String(first.welcome?.['cursor'])
    const device = first.welcome?.['device_id']
    first.stream.leave()
    for (let n = 0; n < 3; n++) {
      await server.app.publish({ room: 'kept' }, 'chat', n)
      const { stream, welcome } = await streamWith(server, ticket, { 'last-event-id': lastId })
      expect(welcome).toMatchObject({
        user_id: 'alice',
        device_id: device,
        rooms: [{ room: 'kept' }],
        resume: { session: true },
      })
      const { id, frame } = await stream.frame('chat')
      expect(frame.payload).toBe(n)
      lastId = id ?? ''
      if (n < 2) stream.leave()
    }
    expect(server.hub.registry.size).toBe(1)
  })

  test.concurrent('is good for the polls of its session, and for what that session sends', async () => {
    await using server = await startTestServer()
    const ticket = await ticketOf(server, { user: 'alice' })
    const url = (query: string) => `${server.url}/realtime/poll?ticket=${ticket}${query}`
    const first = (await (await fetch(url(''))).json()) as { connection_id: string; cursor: string }
    const going = `&connection_id=${first.connection_id}&cursor=${first.cursor}&timeout=0`
    expect((await fetch(url(going))).status).toBe(200)
    const send = async (frame: object) =>
      (await fetch(`${server.url}/realtime/send?ticket=${ticket}`, { method: 'POST', body: JSON.stringify(frame) }))
        .status
    expect(await send({ connection_id: first.connection_id, type: 'ping' })).toBe(200)
    expect(await send({ type: 'chat', to: { user_id: 'alice' } })).toBe(401)
    const { first: other } = await Poller.open(server, { user: 'alice' })
    expect(await send({ connection_id: other.connection_id, type: 'ping' })).toBe(401)
    expect((await fetch(url(`&connection_id=${other.connection_id}`))).status).toBe(401)
  })

  test.concurrent('ends with a session that was sent away', async () => {
    await using server = await startTestServer()
    const ticket = await ticketOf(server, { user: 'alice', expiresIn: 2 })
    const { stream } = await streamWith(server, ticket)
    expect(await stream.over()).toBe('end')
    expect((await streamWith(server, ticket)).status).toBe(401)
  })

  test.concurrent('does nothing but open a session, and is in no log', async () => {
    await using server = await startTestServer()
    const ticket = await ticketOf(server, { user: 'alice' })
    for (const [method, path] of [
      ['GET', 'me'],
      ['POST', 'ticket'],
    ]) {
      expect(
        (await fetch(`${server.url}/realtime/${path}?ticket=${ticket}`, { method: method as string })).status,
      ).toBe(401)
    }
    const { stream } = await streamWith(server, ticket)
    stream.leave()
    await until(() => server.hub.registry.size === 0)
    expect(server.output).not.toContain(ticket)
    expect((await fetch(`${server.url}/realtime/ticket`, { method: 'POST' })).status).toBe(403)
  })
})

describe('the time of a ticket', () => {
  const identity = { userId: 'alice', roles: [] }
  const office = () => {
    const clock = new FakeClock()
    const tickets = new EmbeddedTickets(clock)
    const revoked = new RevokedTokens(clock)
    const made = new TicketOffice({ tickets, revoked, clock, resumeMs: 120_000 })
    made.close()
    const redeem = (id: string, connectionId: string) =>
      made
        .redeem(id, () => ({ connectionId, deviceId: 'd' }), true)
        .then(
          () => true,
          () => false,
        )
    return { clock, tickets, revoked, made, redeem }
  }
  const ended = (connectionId: string, code: number) =>
    [{ connectionId } as never, { code, reason: '', durationMs: 1 }] as const

  test('is 30 seconds as long as nobody has used it', async () => {
    const { clock, tickets, made, redeem } = office()
    const [early, late] = [await made.issue(identity), await made.issue(identity)]
    clock.advance(29_999)
    expect(await redeem(early, 'c1')).toBe(true)
    clock.advance(1)
    expect(await redeem(late, 'c2')).toBe(false)
    tickets.sweep()
    expect(tickets.size).toBe(1)
  })

  test('is that of its session, and then as long as that can be resumed', async () => {
    const { clock, tickets, made, redeem } = office()
    const ticket = await made.issue(identity)
    await redeem(ticket, 'c1')
    clock.advance(600_000)
    expect((await made.recognise(ticket, 'c1')).userId).toBe('alice')
    made.closed(...ended('c1', 1006))
    clock.advance(119_999)
    expect(await redeem(ticket, 'c2')).toBe(true)
    made.closed(...ended('c2', 1006))
    clock.advance(120_000)
    expect(await redeem(ticket, 'c3')).toBe(false)
    tickets.sweep()
    expect(tickets.size).toBe(0)
  })

  test('is over with a session that said goodbye, or that never came to be', async () => {
    const { tickets, made, redeem } = office()
    const [left, failed] = [await made.issue(identity), await made.issue(identity)]
    await redeem(left, 'c1')
    made.closed(...ended('c1', 1000))
    await redeem(failed, 'c2')
    made.cancel('c2')
    expect([await redeem(left, 'c3'), await redeem(failed, 'c4'), tickets.size]).toEqual([false, false, 0])
  })

  test('does not outlive its token', async () => {
    const { clock, made } = office()
    const ticket = await made.issue({ ...identity, expiresAt: clock.now() + 1000 })
    clock.advance(1000)
    await expect(made.redeem(ticket, () => ({ connectionId: 'c', deviceId: 'd' }), true)).rejects.toThrow('expired')
  })

  test('is over when its token is revoked, also where its session is not closed yet', async () => {
    const { clock, made, redeem, revoked } = office()
    const [used, unused] = [await made.issue(identity), await made.issue(identity)]
    await redeem(used, 'c1')
    const all = { scope: Scopes.all, issuedBefore: clock.now(), until: clock.now() + 1000 }
    revoked.learn(all)
    await expect(made.recognise(used, 'c1')).rejects.toThrow('revoked')
    const holderOf = () => ({ connectionId: 'c2', deviceId: 'd' })
    await expect(made.redeem(unused, holderOf, true)).rejects.toThrow('revoked')
  })
})
