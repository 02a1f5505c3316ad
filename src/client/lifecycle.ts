/** Moments at which a browser's connection deserves a look: the network is back, or the page is seen again. */
import type { Page } from './environment.ts'

export interface LifecycleEvents {
  /** Now is a good time to connect, or to see whether the connection still lives. */
  readonly wake: () => void
  /** The network changed: what did not work before may work now. */
  readonly online: () => void
}

/** @returns what ends the watching. */
export function watchLifecycle(page: Page | undefined, events: LifecycleEvents): () => void {
  if (page === undefined) return () => {}
  const { document } = page
  const online = (): void => {
    events.online()
    events.wake()
  }
  const seen = (): void => {
    if (document?.visibilityState === 'visible') events.wake()
  }
  page.addEventListener('online', online)
  page.addEventListener('pageshow', events.wake)
  document?.addEventListener('visibilitychange', seen)
  return () => {
    page.removeEventListener('online', online)
    page.removeEventListener('pageshow', events.wake)
    document?.removeEventListener('visibilitychange', seen)
  }
}
