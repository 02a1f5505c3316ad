/** A store that cannot be opened. The message tells an operator what happened and how to go on. */
export class StoreError extends Error {
  override readonly name = 'StoreError'
}
