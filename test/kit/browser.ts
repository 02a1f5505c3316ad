/**
 * A real browser without a window: Chromium by its own protocol, https://chromedevtools.github.io/devtools-protocol/.
 * Just enough to open a page and ask it something.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where Chromium is, under one of its names; `null` where it is not installed. */
export const CHROMIUM = Bun.which('chromium') ?? Bun.which('chromium-browser') ?? Bun.which('google-chrome')

const FLAGS = [
  '--headless=new',
  '--remote-debugging-port=0',
  '--no-first-run',
  '--disable-gpu',
  '--disable-extensions',
  '--disable-background-networking',
  // Its sandbox needs rights that a container does not give; the pages here are our own.
  '--no-sandbox',
  '--disable-dev-shm-usage',
]

/** Milliseconds within which Chromium has to start: on a busy machine it takes its time. */
const START_WITHIN_MS = 20_000

interface Answer {
  readonly id?: number
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
  readonly sessionId?: string
  readonly method?: string
  readonly params?: Record<string, unknown>
}

type EventListener = (session: string | undefined, method: string, params: Record<string, unknown>) => void

export class Browser implements AsyncDisposable {
  private readonly process: Bun.Subprocess
  private readonly folder: string
  private readonly socket: WebSocket
  private readonly waiting = new Map<
    number,
    { resolve: (result: Record<string, unknown>) => void; reject: (e: Error) => void }
  >()
  private readonly listeners = new Set<EventListener>()
  private calls = 0

  private constructor(process: Bun.Subprocess, folder: string, socket: WebSocket) {
    this.process = process
    this.folder = folder
    this.socket = socket
    socket.onmessage = ({ data }) => this.receive(JSON.parse(String(data)) as Answer)
  }

  static async launch(): Promise<Browser> {
    if (CHROMIUM === null) throw new Error('Chromium is not installed')
    const folder = await mkdtemp(join(tmpdir(), 'tidings-browser-'))
    const process = Bun.spawn([CHROMIUM, ...FLAGS, `--user-data-dir=${folder}`, 'about:blank'], {
      stdout: 'ignore',
      stderr: 'ignore',
    })
    const address = await addressOf(folder, process).catch((error: unknown) => {
      process.kill()
      throw error
    })
    const socket = new WebSocket(address)
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = reject
    })
    return new Browser(process, folder, socket)
  }

  /** Opens an address and resolves when it has loaded. */
  async open(url: string): Promise<BrowserPage> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true })
    const page = new BrowserPage(this, String(sessionId))
    await page.load(url)
    return page
  }

  call(method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> {
    const id = ++this.calls
    this.socket.send(JSON.stringify({ id, method, params, ...(sessionId && { sessionId }) }))
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }))
  }

  /** @returns what ends the listening. */
  onEvent(listener: EventListener): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.call('Browser.close').catch(() => {})
    await this.process.exited
    this.socket.close()
    // Its helpers may write to their last files for a moment after it has gone.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }

  private receive({ id, result = {}, error, method, params = {}, sessionId }: Answer): void {
    if (method !== undefined) for (const listener of this.listeners) listener(sessionId, method, params)
    const call = id === undefined ? undefined : this.waiting.get(id)
    if (call === undefined || id === undefined) return
    this.waiting.delete(id)
    if (error === undefined) call.resolve(result)
    else call.reject(new Error(error.message))
  }
}

export class BrowserPage {
  /** What the page printed, and what it did not catch. */
  readonly console: string[] = []
  private readonly browser: Browser
  private readonly session: string

  constructor(browser: Browser, session: string) {
    this.browser = browser
    this.session = session
    browser.onEvent((from, method, params) => {
      if (from !== session) return
      if (method === 'Runtime.consoleAPICalled') this.console.push(JSON.stringify(params['args']))
      if (method === 'Runtime.exceptionThrown') this.console.push(JSON.stringify(params['exceptionDetails']))
    })
  }

  async load(url: string): Promise<void> {
    await Promise.all(['Page.enable', 'Runtime.enable', 'Network.enable'].map((method) => this.call(method)))
    const loaded = new Promise<void>((resolve) => {
      const stop = this.browser.onEvent((from, method) => {
        if (from !== this.session || method !== 'Page.loadEventFired') return
        stop()
        resolve()
      })
    })
    await this.call('Page.navigate', { url })
    await loaded
  }

  /** The value of an expression in the page; of a promise, what it resolves with. Rejects with what is thrown there. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true, userGesture: true }
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', options)
    if (exceptionDetails !== undefined) throw new Error(`the page threw: ${JSON.stringify(exceptionDetails)}`)
    return (result as { value?: unknown }).value
  }

  /** Takes the page's network away, or gives it back. Sockets that are open stay so: nothing else happens to them. */
  async setOffline(offline: boolean): Promise<void> {
    const conditions = { offline, latency: 0, downloadThroughput: -1, uploadThroughput: -1 }
    await this.call('Network.emulateNetworkConditions', conditions)
  }

  private call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.browser.call(method, params, this.session)
  }
}

/** Chromium writes where it listens into a file. */
async function addressOf(folder: string, process: Bun.Subprocess): Promise<string> {
  const deadline = performance.now() + START_WITHIN_MS
  while (performance.now() < deadline) {
    if (process.exitCode !== null) throw new Error(`Chromium ended with code ${process.exitCode}`)
    const text = await readFile(join(folder, 'DevToolsActivePort'), 'utf8').catch(() => '')
    const [port, path] = text.split('\n')
    if (path !== undefined) return `ws://127.0.0.1:${port}${path}`
    await Bun.sleep(20)
  }
  throw new Error('Chromium did not start')
}
