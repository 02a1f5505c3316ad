/** Headless Chromium for tests: Debian's own, with nothing that reaches for a network. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium'
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Why tests in a browser cannot run here; in CI that is a failure. */
export const NO_BROWSER =
  existsSync(EXECUTABLE) || process.env['CI'] ? undefined : `there is no browser at ${EXECUTABLE}`

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS })
}

/** What went wrong on a page: errors, refusals of its content security policy, requests to another origin. */
export interface Complaints {
  readonly list: string[]
}

export function watch(page: Page, origin: string): Complaints {
  const list: string[] = []
  page.on('pageerror', (error) => list.push(`error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') list.push(`console: ${message.text()}`)
  })
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.protocol !== 'data:' && url.host !== new URL(origin).host) list.push(`request: ${request.url()}`)
  })
  return { list }
}
