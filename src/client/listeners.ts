/** Who listens to which type of message. */
import type { Listener, Message } from './types.ts'

/** Hears every type; no type can have this name. */
export const EVERY = '*'

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

  clear(): void {
    this.#byType.clear()
  }

  /**
   * Calls everybody who listens to the message's type.
   * @returns what each returned; `undefined` for one that threw, and promises that never reject.
   */
  call(message: Message): unknown[] {
    const results: unknown[] = []
    for (const type of [message.type, EVERY]) {
      for (const listener of this.#byType.get(type) ?? []) {
        try {
          const result: unknown = listener(message.payload, message)
          results.push(isPromise(result) ? result.then(undefined, this.#onError) : result)
        } catch (error) {
          results.push(undefined)
          this.#onError(error)
        }
      }
    }
    return results
  }
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
