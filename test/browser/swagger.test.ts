import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { Browser, Page } from 'playwright-core'
import { startTestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY } from '../http/api.ts'
import { startBinary } from '../support/binary.ts'
import { launchBrowser, NO_BROWSER, watch } from '../support/browser.ts'

/** The page is large and the machine may be busy. */
const SLOW_MS = 60_000
const CONFIG = { admin: { keys: [ADMIN_KEY] } }

const places = [
  { name: 'the source', start: () => startTestServer({ config: CONFIG }) },
  { name: 'the compiled binary', start: () => startBinary({ config: CONFIG }) },
]

describe.skipIf(NO_BROWSER !== undefined)('the Swagger UI', () => {
  let browser: Browser
  beforeAll(async () => {
    browser = await launchBrowser()
  }, SLOW_MS)
  afterAll(() => browser?.close())

  /** Opens the page and waits until it shows operations. */
  async function open(url: string) {
    const page = await browser.newPage()
    const { list: complaints } = watch(page, url)
    await page.goto(`${url}/swagger`)
    await page.waitForSelector('.opblock-summary-path')
    return { page, complaints }
  }

  for (const { name, start } of places) {
    test(
      `of ${name} shows every operation and tries one, with nothing but its own server`,
      async () => {
        await using server = await start()
        const { page, complaints } = await open(server.url)
        const description = await fetch(`${server.url}/swagger/json`)
        const { paths } = (await description.json()) as { paths: Record<string, object> }
        const operations = Object.values(paths).flatMap((methods) => Object.keys(methods))
        expect(await page.locator('.opblock').count()).toBe(operations.length)
        expect(await page.locator('.errors-wrapper').count()).toBe(0)

        expect(await listConnections(page)).toEqual({ items: [], next: null })
        await keepScreenshot(page, `swagger-${name.replaceAll(' ', '-')}`)
        // Requests to another origin and violations of the policy are complaints too.
        expect(complaints).toEqual([])
        await page.close()
      },
      SLOW_MS,
    )
  }

  // The page prints what clients call themselves: nothing of it may become part of the page.
  test(
    'shows hostile names as text',
    async () => {
      await using server = await startTestServer({ config: CONFIG })
      const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
      await using _client = await server.connect({
        user: hostile,
        device: hostile,
        headers: { 'user-agent': hostile },
      })
      const { page, complaints } = await open(server.url)
      expect(await listConnections(page)).toEqual({
        items: [expect.objectContaining({ user_id: hostile, device_id: hostile, user_agent: hostile })],
        next: null,
      })
      expect(await page.title()).toBe('Tidings HTTP API')
      expect(await page.locator('img[src="x"]').count()).toBe(0)
      expect(complaints).toEqual([])
      await page.close()
    },
    SLOW_MS,
  )
})

/** Does what an operator does: shows the key, opens the operation, sends it, reads the answer. */
async function listConnections(page: Page): Promise<unknown> {
  await page.locator('button.authorize').click()
  const dialog = page.locator('.auth-container').first()
  await dialog.locator('input').fill(ADMIN_KEY)
  await dialog.locator('button.authorize').click()
  await dialog.locator('button.btn-done').click()
  const operation = page.locator('#operations-connections-listConnections')
  await operation.locator('button.opblock-summary-control').click()
  await operation.locator('button.try-out__btn').click()
  await operation.locator('button.execute').click()
  const answer = operation.locator('.live-responses-table .response .highlight-code code')
  await answer.waitFor()
  return JSON.parse((await answer.textContent()) ?? '')
}

/** For whoever wants to look: into the folder that `TIDINGS_SCREENSHOTS` names. */
async function keepScreenshot(page: Page, name: string): Promise<void> {
  const folder = process.env['TIDINGS_SCREENSHOTS']
  if (folder !== undefined) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true })
}
