/** A Redis that cannot be used. The message tells an operator what happened and how to go on. */
export class BackendError extends Error {
  override readonly name = 'BackendError'
}
