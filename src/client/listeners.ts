/** Who listens to which type of message. */
import type { Listener, Message } from './types.ts'

/** Hears every type; no type can have this name. */
export const EVERY = '*'

/** In place of what a listener returned: it threw. */
export const FAILED = Symbol()

export class Listeners {
  readonly #byType = new Map<string, Set<Listener<unknown>>>()
  readonly #onError: (error: unknown) => void

  /** @param onError hears what listeners throw and reject with. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** @returns what ends the listening. */
  add(type: string, listener: Listener<unknown>): () => void {
    // A set of wrappers, so that one function that listens twice is called twice and removed once.
    const own: Listener<unknown> = (payload, message) => listener(payload, message)
    const listeners = this.#byType.get(type) ?? new Set()
    this.#byType.set(type, listeners.add(own))
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#byType.get(type) === listeners) this.#byType.delete(type)
    }
  }

  /**
   * Calls everybody who listens to the message's type.
   * @returns what each returned; {@link FAILED} for one that threw, or a promise of it. The promises never reject.
   */
  call(message: Message): unknown[] {
    const failed = (error: unknown): symbol => {
      this.#onError(error)
      return FAILED
    }
    // Those who begin to listen in a listener hear the next message.
    const own = this.#byType.get(message.type) ?? []
    const every = this.#byType.get(EVERY) ?? []
    return [...own, ...every].map((listener) => {
      try {
        const result: unknown = listener(message.payload, message)
        return isPromise(result) ? result.then(undefined, failed) : result
      } catch (error) {
        return failed(error)
      }
    })
  }
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
