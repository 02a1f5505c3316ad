/** An address at which nothing can listen. The message tells an operator which, why, and how to go on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'

  /** @param setting where the address comes from, for example `admin.listen`. */
  constructor(hostname: string, port: number, setting: string, cause: unknown) {
    super(`Nothing can listen on ${hostname}, port ${port} (${setting}): ${whyNot(cause)}`, { cause })
  }
}

function whyNot(cause: unknown): string {
  switch (cause instanceof Error && 'code' in cause ? cause.code : undefined) {
    case 'EADDRINUSE':
      return 'the port is in use. Stop what listens there, or choose another.'
    case 'EACCES':
      return 'that is not allowed. Ports below 1024 often need rights: choose a higher one.'
    case 'EADDRNOTAVAIL':
    case 'EINVAL':
      return 'that is no address of this machine. 0.0.0.0 is all of them.'
    default:
      return String(cause)
  }
}
