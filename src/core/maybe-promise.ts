/**
 * Values that a backend may have at once or later. The embedded backend answers at once, and a promise where none is
 * needed would cost every message a turn of the microtask queue.
 */
export type MaybePromise<T> = T | Promise<T>

/** Goes on with a value in the same tick where it is there, else when it comes. */
export function whenReady<T, R>(value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** All values in their order, in the same tick where they are all there. */
export function allReady<T>(values: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : (values as readonly T[])
}

/** Undoes something where what it was done for fails later. What fails at once throws, and is the caller's to catch. */
export function undoing<T>(value: MaybePromise<T>, undo: () => void): MaybePromise<T> {
  if (!(value instanceof Promise)) return value
  return value.catch((error) => {
    undo()
    throw error
  })
}
