/** The client library as the server serves it, in the start page's origin and under its content security policy. */
import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'
import { type Complaints, launchBrowser, NO_BROWSER, watch } from '../support/browser.ts'
import { numbers } from '../support/clients.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(60_000)

const TRANSPORTS = ['websocket', 'sse', 'poll'] as const

/** Defines `make` in a page: a client that is back at once, or with a clock that runs so many times faster. */
const PREPARE = `(async () => {
  const { TidingsClient } = await import('/client.js')
  window.make = (token, { hurry, ...options } = {}) => {
    const clock = {
      now: () => performance.now() * hurry,
      set: (run, ms) => setTimeout(run, ms / hurry),
      clear: (timer) => clearTimeout(timer),
    }
    return new TidingsClient({ token, environment: { random: () => 0, ...(hurry && { clock }) }, ...options })
  }
  window.became = (client, state) => new Promise((resolve) => {
    if (client.state === state) resolve()
    else client.onState((change) => change.state === state && resolve())
  })
})()`

describe.skipIf(NO_BROWSER !== undefined)('the client in Chromium', () => {
  let browser: Browser
  let server: TestServer
  let proxy: FaultProxy
  let page: Page
  let complaints: Complaints
  beforeAll(async () => {
    server = await startTestServer({
      config: { rooms: [{ pattern: 'kept', history: { max_messages: 1000 } }], limits: { per_user: 0 } },
    })
    proxy = await FaultProxy.start(server.url)
    browser = await launchBrowser()
  })
  afterAll(async () => {
    await browser?.close()
    await proxy?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    proxy.heal()
    await page?.close()
    page = await browser.newPage()
    complaints = watch(page, proxy.url)
    await page.goto(proxy.url)
    await page.evaluate(PREPARE)
  })

  const tokenOf = async (user: string) => JSON.stringify(await server.token({ user, device: 'tab', name: user }))

  test.each(TRANSPORTS)('talks over %s, bytes too, and no policy is in its way', async (transport) => {
    const heard = await page.evaluate(`(async () => {
      const options = { transports: ['${transport}'] }
      const [alice, bob] = [make(${await tokenOf('alice')}, options), make(${await tokenOf('bob')}, options)]
      await Promise.all([alice.connect(), bob.connect()])
      await Promise.all([alice.join('kept'), bob.join('kept')])
      const heard = new Promise((resolve) => bob.room('kept').on('chat', (payload, { sender }) =>
        resolve({ text: payload.text, bytes: [...payload.file], from: sender.username })))
      await alice.room('kept').publish('chat', { text: 'hi', file: new Uint8Array([0, 255]) })
      return { ...(await heard), transport: alice.transport }
    })()`)
    expect(heard).toEqual({ text: 'hi', bytes: [0, 255], from: 'alice', transport })
    expect(complaints.list).toEqual([])
  })

  test('goes down to what the network lets through, and up again, and hears everything once', async () => {
    proxy.set({ forbid: /^upgrade: websocket/im, gather: /^GET \/realtime\/sse/ })
    await page.evaluate(`(async () => {
      window.heard = []
      window.client = make(${await tokenOf('alice')}, { hurry: 10 })
      client.on('count', (n) => void heard.push(n))
      await client.connect()
      await client.join('kept')
    })()`)
    expect(await page.evaluate('client.transport')).toBe('poll')
    let said = 0
    const speaking = setInterval(() => void server.app.publish({ room: 'kept' }, 'count', said++), 20)
    try {
      await until(async () => ((await page.evaluate('heard.length')) as number) > 10)
      proxy.heal()
      await until(async () => (await page.evaluate('client.transport')) === 'websocket')
      const reached = (await page.evaluate('heard.length')) as number
      await until(async () => ((await page.evaluate('heard.length')) as number) > reached + 10)
    } finally {
      clearInterval(speaking)
    }
    await until(async () => ((await page.evaluate('heard.length')) as number) >= said)
    expect(await page.evaluate('heard')).toEqual(numbers(said))
  })

  test.each(TRANSPORTS)('over %s goes on after a reload with the cursor that the page kept', async (transport) => {
    // Of its own: an inbox is kept from test to test.
    const user = `reloading-${transport}`
    const begin = `(async () => {
      const options = { transports: ['${transport}'] }
      const cursor = sessionStorage.getItem('cursor')
      window.heard = JSON.parse(sessionStorage.getItem('heard') ?? '[]')
      window.client = make(${await tokenOf(user)}, cursor === null ? options : { ...options, cursor })
      client.on('reload', (n) => void heard.push(n))
      window.onpagehide = () => {
        sessionStorage.setItem('cursor', client.cursor)
        sessionStorage.setItem('heard', JSON.stringify(heard))
      }
      const joining = client.room('kept').join(cursor === null ? {} : { since: cursor })
      await client.connect()
      await joining
    })()`
    await page.evaluate(begin)
    let said = 0
    const speaking = setInterval(() => {
      const to = said % 2 === 0 ? ({ room: 'kept' } as const) : { user_id: user }
      void server.app.publish(to, 'reload', said++)
    }, 10)
    try {
      for (const _ of numbers(2)) {
        const reached = (await page.evaluate('heard.length')) as number
        await until(async () => ((await page.evaluate('heard.length')) as number) > reached + 10)
        await page.reload()
        await page.evaluate(PREPARE)
        await page.evaluate(begin)
      }
    } finally {
      clearInterval(speaking)
    }
    await until(async () => ((await page.evaluate('heard.length')) as number) >= said)
    const heard = (await page.evaluate('heard')) as number[]
    // Each room and the inbox are in order; a join brings the history of its room when the inbox has gone on already.
    for (const odd of [0, 1])
      expect(heard.filter((n) => n % 2 === odd)).toEqual(numbers(said).filter((n) => n % 2 === odd))
  })

  test.each(TRANSPORTS)('over %s notices at once that the network is back', async (transport) => {
    await page.evaluate(`(async () => {
      window.client = make(${await tokenOf('alice')}, { transports: ['${transport}'], environment: { random: () => 0.99 } })
      await client.connect()
      window.waiting = became(client, 'waiting')
    })()`)
    await page.context().setOffline(true)
    // What is under way the browser would ask for once more, past the switch for being offline.
    proxy.set({ refuse: true })
    proxy.cut()
    await page.evaluate('waiting')
    // By now it would wait for so long that nobody here does.
    for (const _ of numbers(6)) {
      await page.evaluate(`(async () => {
        const waiting = new Promise((resolve) => client.onState(({ state }) => state === 'waiting' && resolve()))
        void client.connect()
        await waiting
      })()`)
    }
    proxy.heal()
    await page.context().setOffline(false)
    await page.evaluate(`became(client, 'open')`)
    expect(await page.evaluate('client.transport')).toBe(transport)
  })
})
