import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { newSecret } from '../../src/config.ts'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { launchBrowser, NO_BROWSER, watch } from '../support/browser.ts'

/** Bundling the page's script from source and starting a browser take their time on a busy machine. */
const SLOW_MS = 60_000

describe.skipIf(NO_BROWSER !== undefined)('the start page', () => {
  let browser: Browser
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
    browser = await launchBrowser()
  }, SLOW_MS)
  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
  })

  async function open(): Promise<{ page: Page; complaints: string[] }> {
    const page = await browser.newPage()
    const { list } = watch(page, server.url)
    await page.goto(server.url)
    await page.waitForSelector('#state[data-state=open]')
    return { page, complaints: list }
  }

  const say = async (page: Page, text: string) => {
    await page.fill('#text', text)
    await page.press('#text', 'Enter')
  }

  for (const transport of ['websocket', 'sse', 'poll']) {
    test(
      `lets two tabs talk, the second over ${transport}, and asks nobody but its own server`,
      async () => {
        const [one, two] = [await open(), await open()]
        await two.page.selectOption('#transport', transport)
        await two.page.waitForSelector(`#state[data-state=open][data-transport=${transport}]`)
        await one.page.waitForFunction(() => document.getElementById('count')?.textContent === '2')

        await say(one.page, `to ${transport}`)
        await two.page.waitForSelector(`#messages >> text=to ${transport}`)
        await say(two.page, 'and back')
        await one.page.waitForSelector('#messages >> text=and back')
        expect([one.complaints, two.complaints]).toEqual([[], []])
        await one.page.close()
        await two.page.close()
      },
      SLOW_MS,
    )
  }

  // Whatever somebody says, writes as a name or as a type stands in other people's pages.
  test(
    'shows what others say as text',
    async () => {
      const { page, complaints } = await open()
      const hostile = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
      await using eve = await server.connect({ user: 'eve', rooms: ['lobby'], claims: { username: hostile } })
      await eve.request({ type: 'chat', to: { room: 'lobby' }, payload: { text: hostile } })
      const line = await page.waitForSelector('#messages >> text=onerror')
      expect(await line.textContent()).toContain(hostile)
      expect(await page.locator('#messages img, #messages script').count()).toBe(0)
      expect(await page.title()).toBe('Tidings')
      expect(complaints).toEqual([])
      await page.close()
    },
    SLOW_MS,
  )
})

const OWN = { auth: { secret: newSecret() } }

test('in production there is no start page and no token for whoever asks', async () => {
  await using server = await startTestServer({ mode: 'production', config: OWN })
  expect((await fetch(server.url)).status).toBe(404)
  expect((await fetch(`${server.url}/development/token`, { method: 'POST' })).status).toBe(404)
})

test('a production server with the start page on gives no tokens away', async () => {
  await using server = await startTestServer({ mode: 'production', config: { ...OWN, web: { start_page: true } } })
  expect((await fetch(server.url)).status).toBe(200)
  expect((await fetch(`${server.url}/development/token`, { method: 'POST' })).status).toBe(404)
})

test('another site gets no token of a server in development', async () => {
  await using server = await startTestServer()
  const headers = { 'sec-fetch-site': 'cross-site' }
  expect((await fetch(`${server.url}/development/token`, { method: 'POST', headers })).status).toBe(403)
  const rebound = { host: 'attacker.example' }
  expect((await fetch(`${server.url}/development/token`, { method: 'POST', headers: rebound })).status).toBe(403)
})

test('the client library is served as one script', async () => {
  await using server = await startTestServer()
  const answer = await fetch(`${server.url}/client.js`)
  expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(await answer.text()).toContain('TidingsClient')
})
