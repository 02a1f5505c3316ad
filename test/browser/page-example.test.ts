import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ROOT } from '../cli/process.ts'
import { launchBrowser, NO_BROWSER } from '../support/browser.ts'

/** Bundling the client from source and starting a browser take their time on a busy machine. */
const SLOW_MS = 60_000

describe.skipIf(NO_BROWSER !== undefined)('the page of the examples, served by somebody else', () => {
  let browser: Browser
  let server: TestServer
  let site: Bun.Server<undefined>
  beforeAll(async () => {
    // Whose origin it is, and whose server it names, is known when both are there.
    let html = ''
    site = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      routes: {
        '/token': async () => new Response(await server.token({ user: 'alice' })),
        '/': () => new Response(html, { headers: { 'content-type': 'text/html' } }),
      },
    })
    server = await startTestServer({ config: { server: { allowed_origins: [site.url.origin] } } })
    html = readFileSync(`${ROOT}examples/page.html`, 'utf8').replaceAll('http://127.0.0.1:3000', server.url)
    browser = await launchBrowser()
  }, SLOW_MS)
  afterAll(async () => {
    await browser?.close()
    await server?.[Symbol.asyncDispose]()
    await site?.stop(true)
  })

  async function open(): Promise<Page> {
    const page = await browser.newPage()
    await page.goto(site.url.href)
    await page.waitForFunction(() => document.querySelector('#state')?.textContent?.startsWith('in the lobby'))
    return page
  }

  test(
    'says what somebody types to the others, as text',
    async () => {
      const [one, two] = [await open(), await open()]
      await one.fill('input', '<b>hi</b>')
      await one.press('input', 'Enter')
      await two.waitForSelector('li')
      expect(await two.textContent('li')).toBe('alice: <b>hi</b>')
      await one.waitForSelector('li')
      expect(await one.textContent('li')).toBe('me: <b>hi</b>')
    },
    SLOW_MS,
  )
})
