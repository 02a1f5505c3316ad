/** A key set that cannot be read. The message tells an operator what happened. */
export class KeySetError extends Error {
  override readonly name = 'KeySetError'
}
