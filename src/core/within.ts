/** Runs something whose result is of no use later: rejects when the time is up, and what comes then is dropped. */
export function within<T>(ms: number, run: () => Promise<T>): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const timer = setTimeout(() => reject(new Error('too late')), ms)
  run()
    .then(resolve, reject)
    .finally(() => clearTimeout(timer))
  return promise
}
