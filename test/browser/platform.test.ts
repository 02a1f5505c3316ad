/**
 * What a page does without a library: the browser's own `EventSource` and `WebSocket`, from the start page's origin and
 * under its content security policy, through a proxy that fails.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { launchBrowser, NO_BROWSER } from '../support/browser.ts'
import { numbers } from '../support/clients.ts'
import { until } from '../support/until.ts'

/** A browser takes its time on a busy machine, and comes back to a stream only after two seconds. */
setDefaultTimeout(60_000)

/** `readyState` of an EventSource that comes back by itself, and of one that does not. */
const CONNECTING = 0
const CLOSED = 2

interface Heard {
  readonly type: string
  readonly payload: unknown
  readonly lastEventId: string
}

describe.skipIf(NO_BROWSER !== undefined)('in Chromium', () => {
  let browser: Browser
  let server: TestServer
  let proxy: FaultProxy
  let page: Page
  beforeAll(async () => {
    server = await startTestServer({
      config: { rooms: [{ pattern: 'kept', history: { max_messages: 1000 } }], limits: { per_user: 0 } },
    })
    proxy = await FaultProxy.start(server.url)
    browser = await launchBrowser()
    page = await browser.newPage()
    await page.goto(proxy.url)
  })
  afterAll(async () => {
    await browser?.close()
    await proxy?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })

  const publish = (payload: unknown) => server.app.publish({ room: 'kept' }, 'chat', payload)

  /** Opens an event stream in the page, which keeps what it hears; resolves with the stream's number there. */
  async function listen(query: Readonly<Record<string, string>>) {
    const stream = await page.evaluateHandle((search) => {
      const source = new EventSource(`/realtime/sse?${search}`)
      const heard: Heard[] = []
      const states: number[] = []
      source.onmessage = ({ data, lastEventId }) => heard.push({ ...JSON.parse(data), lastEventId })
      source.onerror = () => states.push(source.readyState)
      return { source, heard, states }
    }, new URLSearchParams(query).toString())
    const heard = () => stream.evaluate(({ heard }) => heard)
    return {
      heard,
      ofType: async (type: string) => (await heard()).filter((frame) => frame.type === type),
      /** `readyState` at each error. */
      errors: () => stream.evaluate(({ states }) => states),
      close: () => stream.evaluate(({ source }) => source.close()),
    }
  }

  /** Asks in the page, with a token, and gives status and body. */
  const ask = (method: string, path: string, token: string, body?: unknown) =>
    page.evaluate(
      async ({ method, path, token, body }) => {
        const headers = {
          authorization: `Bearer ${token}`,
          ...(body !== undefined && { 'content-type': 'text/plain' }),
        }
        const answer = await fetch(path, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
        return { status: answer.status, body: await answer.json() }
      },
      { method, path, token, body },
    )

  describe('an EventSource', () => {
    test('hears a room, and what the page says by POST is heard there', async () => {
      const token = await server.token({ user: 'alice' })
      const stream = await listen({ token, rooms: 'kept' })
      await until(async () => (await stream.ofType('welcome')).length === 1)
      const [welcome] = await stream.ofType('welcome')
      const { connection_id } = (welcome?.payload ?? {}) as { connection_id?: string }
      await using bob = await server.connect({ user: 'bob', rooms: ['kept'] })
      const said = { connection_id, type: 'chat', id: 'c1', to: { room: 'kept' }, payload: 'hi' }
      expect(await ask('POST', '/realtime/send', token, said)).toMatchObject({
        status: 200,
        body: { type: 'ack', correlation_id: 'c1' },
      })
      expect((await bob.next('chat')).payload).toBe('hi')
      await bob.request({ type: 'chat', to: { room: 'kept' }, payload: 'and back' })
      await until(async () => (await stream.ofType('chat')).length === 1)
      const [chat] = await stream.ofType('chat')
      expect(chat).toMatchObject({ payload: 'and back', cursor: chat?.lastEventId })
      await stream.close()
    })

    test.each(['reset', 'closed'] as const)(
      'whose connection is %s comes back by itself with its ticket, and has everything once and in order',
      async (how) => {
        const token = await server.token({ user: 'alice' })
        const { ticket } = (await ask('POST', '/realtime/ticket', token)).body as { ticket: string }
        const stream = await listen({ ticket, rooms: 'kept' })
        await until(async () => (await stream.ofType('welcome')).length === 1)
        for (const n of numbers(30)) {
          await publish(n)
          if (n === 10) await until(async () => (await stream.ofType('chat')).length > 0)
          if (n === 10) how === 'reset' ? proxy.cut() : proxy.hangUp()
        }
        await until(async () => (await stream.ofType('chat')).length >= 30)
        await publish(30)
        await until(async () => (await stream.ofType('chat')).length >= 31)
        expect((await stream.ofType('chat')).map(({ payload }) => payload)).toEqual(numbers(31))
        const [first, second] = (await stream.ofType('welcome')).map(
          ({ payload }) => payload as Record<string, unknown>,
        )
        expect(second).toMatchObject({
          device_id: first?.['device_id'],
          resume: { session: true, recovered: true, gaps: [] },
        })
        expect(await stream.errors()).toEqual([CONNECTING])
        await stream.close()
      },
    )

    test('that finds nobody there tries on, and is back when somebody is', async () => {
      const stream = await listen({ token: await server.token({ user: 'alice' }), rooms: 'kept' })
      await until(async () => (await stream.ofType('welcome')).length === 1)
      proxy.set({ refuse: true })
      proxy.cut()
      await publish('while nobody was there')
      await until(async () => (await stream.errors()).length >= 2)
      proxy.heal()
      await until(async () => (await stream.ofType('chat')).length === 1)
      expect(new Set(await stream.errors())).toEqual(new Set([CONNECTING]))
      await stream.close()
    })

    test('that is refused stops for good and does not say why; the page can ask', async () => {
      const token = await server.token({ user: 'alice', expiresIn: -10 })
      const stream = await listen({ token, rooms: 'kept' })
      await until(async () => (await stream.errors()).length === 1)
      expect(await stream.errors()).toEqual([CLOSED])
      expect(await ask('GET', '/realtime/me', token)).toMatchObject({
        status: 401,
        body: { error: { code: 'RT_002', error_code: 'token_expired', reconnect: false } },
      })
      expect(await stream.heard()).toEqual([])
    })

    test('that is sent away is told so, and comes back to be let in again unless the page closes it', async () => {
      const token = await server.token({ user: 'alice' })
      const stream = await listen({ token })
      await until(async () => (await stream.ofType('welcome')).length === 1)
      const root = await server.token({ user: 'root', roles: ['admin'] })
      await ask('DELETE', '/realtime/connections?user_id=alice', root)
      await until(async () => (await stream.ofType('welcome')).length === 2)
      const types = (await stream.heard()).map(({ type, payload }) => [
        type,
        (payload as { error_code?: string }).error_code,
      ])
      expect(types).toEqual([
        ['welcome', undefined],
        ['error', 'disconnected'],
        ['welcome', undefined],
      ])
      await stream.close()
    })
  })

  describe('a WebSocket', () => {
    /** Opens one in the page, and tells how it went: frames by type, then the close. */
    const story = (path: string, protocols: readonly string[]) =>
      page.evaluate(
        ({ path, protocols }) =>
          new Promise<unknown[]>((resolve) => {
            const told: unknown[] = []
            const socket = new WebSocket(`ws://${location.host}${path}`, [...protocols])
            socket.onopen = () => told.push(['open', socket.protocol])
            socket.onmessage = ({ data }) => {
              const { type, payload, room } = JSON.parse(data)
              told.push([type, type === 'error' ? payload.error_code : (room ?? null)])
              if (type === 'welcome') {
                socket.send(JSON.stringify({ type: 'join_room', id: 'j', payload: { room: 'lobby' } }))
              } else if (type === 'ack') socket.close(1000)
            }
            socket.onclose = ({ code, reason }) => {
              told.push(['close', code, reason])
              resolve(told)
            }
          }),
        { path, protocols },
      )

    test('shows its token among its subprotocols, and speaks', async () => {
      const token = await server.token({ user: 'alice' })
      expect(await story('/realtime', ['tidings.v1.json', `token.${token}`])).toEqual([
        ['open', 'tidings.v1.json'],
        ['welcome', null],
        ['ack', null],
        ['close', 1000, ''],
      ])
    })

    test('that is refused learns nothing, but where it asked for a reason', async () => {
      const protocols = ['tidings.v1.json', `token.${await server.token({ user: 'alice', expiresIn: -10 })}`]
      expect(await story('/realtime', protocols)).toEqual([['close', 1006, '']])
      expect(await story('/realtime?close_reason=1', protocols)).toEqual([
        ['open', 'tidings.v1.json'],
        ['error', 'token_expired'],
        ['close', 4001, 'token_expired'],
      ])
    })
  })
})
