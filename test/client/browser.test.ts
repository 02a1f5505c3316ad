import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { Browser, type BrowserPage, CHROMIUM } from '../kit/browser.ts'
import { FaultProxy } from '../kit/fault-proxy.ts'

const ENTRY = join(import.meta.dir, '../../src/client/index.ts')

// Where there is no Chromium nothing of this can be tried; in CI its absence fails before the tests begin.
describe.skipIf(CHROMIUM === null)('in Chromium', () => {
  let pages: Bun.Server<undefined>
  let server: TestServer
  let proxy: FaultProxy
  let browser: Browser
  let page: BrowserPage

  beforeAll(async () => {
    const { outputs } = await Bun.build({ entrypoints: [ENTRY], target: 'browser', minify: true })
    const code = await outputs[0]?.text()
    const html = `<!doctype html><script type="module">
      import { TidingsClient } from '/client.js'
      window.TidingsClient = TidingsClient
    </script>`
    pages = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: ({ url }) => {
        const isCode = new URL(url).pathname === '/client.js'
        const type = isCode ? 'text/javascript' : 'text/html'
        return new Response(isCode ? code : html, { headers: { 'content-type': type } })
      },
    })
    const origin = `http://127.0.0.1:${pages.port}`
    server = await startTestServer({ config: { server: { allowed_origins: [origin] }, limits: { per_user: 0 } } })
    proxy = await FaultProxy.start(server.url)
    browser = await Browser.launch()
    page = await browser.open(origin)
    const tokens = JSON.stringify([
      await server.token({ user: 'alice', name: 'Alice' }),
      await server.token({ user: 'bob' }),
    ])
    await page.evaluate(`
      window.url = '${proxy.url}/realtime'
      window.tokens = ${tokens}
      window.make = (token, options) => {
        const client = new TidingsClient({ url, token, environment: { random: () => 0 }, ...options })
        client.became = (state) => new Promise((resolve) => {
          if (client.state === state) resolve()
          client.onState((change) => change.state === state && resolve(change))
        })
        return client
      }
      window.alice = make(tokens[0])
      window.bob = make(tokens[1])
    `)
  }, 30_000)

  afterAll(async () => {
    await page?.evaluate('alice.close(), bob.close()').catch(() => {})
    await browser?.[Symbol.asyncDispose]()
    await proxy?.[Symbol.asyncDispose]()
    await server?.[Symbol.asyncDispose]()
    await pages?.stop(true)
  }, 30_000)

  test('two clients talk in a room, bytes too', async () => {
    const heard = await page.evaluate(`(async () => {
      await Promise.all([alice.connect(), bob.connect()])
      const [lobby] = await Promise.all([alice.join('lobby'), bob.join('lobby')])
      const heard = new Promise((resolve) => bob.room('lobby').on('chat', (payload, { sender }) =>
        resolve({ text: payload.text, bytes: [...payload.file], from: sender.username })))
      await lobby.publish('chat', { text: 'hi', file: new Uint8Array([0, 255]) })
      return { ...(await heard), transport: alice.transport }
    })()`)
    expect(heard).toEqual({ text: 'hi', bytes: [0, 255], from: 'Alice', transport: 'websocket' })
  })

  // A header makes the browser ask beforehand, and every answer has to name the page's origin.
  test.each(['sse', 'poll'])('a page of another origin talks over %s too', async (transport) => {
    const heard = await page.evaluate(`(async () => {
      const clients = tokens.map((token) => make(token, { transports: ['${transport}'] }))
      await Promise.all(clients.map((client) => client.connect()))
      const [room] = await Promise.all(clients.map((client) => client.join('${transport}')))
      const heard = new Promise((resolve) => clients[1].on('chat', resolve))
      await room.publish('chat', 'hi')
      const text = await heard
      for (const client of clients) client.close()
      return text
    })()`)
    expect(heard).toBe('hi')
  })

  // A browser cannot read the status of a handshake.
  test.each(['websocket', 'sse', 'poll'])('a refusal is known over %s', async (transport) => {
    const error = await page.evaluate(`
      make('not.a.token', { transports: ['${transport}'] })
        .connect()
        .then(() => 'open', ({ reason, code }) => ({ reason, code }))
    `)
    expect(error).toEqual({ reason: 'invalid_token', code: 'RT_002' })
  })

  test('a page of an origin that is not allowed is told so', async () => {
    const stranger = await browser.open(`http://localhost:${pages.port}`)
    const error = await stranger.evaluate(`
      new TidingsClient({ url: '${proxy.url}/realtime', token: '${await server.token({ user: 'alice' })}' })
        .connect()
        .then(() => 'open', ({ reason, code }) => ({ reason, code }))
    `)
    expect(error).toEqual({ reason: 'forbidden', code: 'RT_003' })
  })

  test('a cut connection comes back, in its room', async () => {
    await page.evaluate(`window.lost = Promise.all([alice.became('connecting'), bob.became('connecting')]), undefined`)
    proxy.cut()
    const heard = await page.evaluate(`(async () => {
      await lost
      // Only what is back has been lost, and only then is it in the room again.
      await Promise.all([alice.became('open'), bob.became('open')])
      const heard = new Promise((resolve) => bob.room('lobby').on('again', resolve))
      await alice.room('lobby').publish('again', 'still here')
      return heard
    })()`)
    expect(heard).toBe('still here')
  })

  test('the network’s return is heard: the connection is there again at once', async () => {
    await page.evaluate(
      `window.slow = new TidingsClient({ url, token: tokens[0], environment: { random: () => 0.99 } })`,
    )
    await page.evaluate('slow.connect()')
    // Chromium announces "online" to the page; a back-off of up to a second would be waited for otherwise.
    await page.setOffline(true)
    await page.evaluate(
      `window.waited = new Promise((r) => slow.onState(({ state }) => state === 'waiting' && r())), undefined`,
    )
    proxy.cut()
    await page.evaluate('waited')
    await page.setOffline(false)
    expect(
      await page.evaluate(`(async () => {
        if (slow.state !== 'open') await new Promise((r) => slow.onState(({ state }) => state === 'open' && r()))
        const transport = slow.transport
        slow.close()
        return transport
      })()`),
    ).toBe('websocket')
  })

  test('the page printed nothing and threw nothing', () => {
    expect(page.console).toEqual([])
  })
})
