/** What the client takes from the runtime it runs in. Browsers, Bun and Deno have all of it; Node 20 lacks `WebSocket`. */

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number
  set(run: () => void, ms: number): unknown
  /** Does nothing where the timer has run, or was never set. */
  clear(timer: unknown): void
}

export type WebSocketConstructor = new (url: string, protocols: string[]) => WebSocket

/** Where `online`, `pageshow` and `visibilitychange` are heard: a browser's window, or nothing elsewhere. */
export interface Page {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
  readonly document?: { readonly visibilityState: string } & Pick<Page, 'addEventListener' | 'removeEventListener'>
}

export interface Environment {
  readonly clock: Clock
  /** 0 up to but not 1. */
  readonly random: () => number
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>
  readonly WebSocket: WebSocketConstructor | undefined
  readonly page: Page | undefined
}

const timers: Clock = {
  now: () => performance.now(),
  // What is due already is no mistake, of which Node and Bun would warn.
  set: (run, ms) => setTimeout(run, Math.max(0, ms)),
  clear: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
}

/** The runtime as it is, with some of it replaced. */
export function environmentWith(replaced: Partial<Environment>): Environment {
  const globals = globalThis as { WebSocket?: WebSocketConstructor; document?: unknown }
  return {
    clock: timers,
    random: Math.random,
    // A browser's fetch refuses to be called as a method of something else.
    fetch: (url, init) => fetch(url, init),
    WebSocket: globals.WebSocket,
    page: globals.document === undefined ? undefined : (globalThis as unknown as Page),
    ...replaced,
  }
}

/** An id that nobody guesses or repeats: 96 random bits. */
export function randomId(): string {
  // Not `randomUUID`: a page that was loaded without TLS has none.
  return crypto.getRandomValues(new Uint32Array(3)).join('-')
}
