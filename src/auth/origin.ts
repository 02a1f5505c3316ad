/** Whether a page of some origin may talk to this server: what keeps other sites from using a visitor's cookies. */

/**
 * Origins are compared as text, in their one normal form. They are not given to a URL parser: it forgives user names,
 * encoded hosts and numbers as addresses, and each of those is a way to look like somebody else.
 */
const ORIGIN = /^([a-z][a-z0-9+.-]*):\/\/([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(\d{1,5}))?$/
const DEFAULT_PORTS: ReadonlyMap<string, string> = new Map([
  ['http', '80'],
  ['https', '443'],
])

/**
 * @param origin the `Origin` header; without one the client is no browser, and no visitor's cookies are at stake.
 * @param host the `Host` header, with which an origin must agree in host and port where `allowed` is empty.
 * @param allowed origins as `scheme://host[:port]`, exact; `*` allows all, `null` too.
 */
export function originAllowed(origin: string | null, host: string | null, allowed: readonly string[]): boolean {
  if (origin === null || allowed.includes('*')) return true
  const asked = parseOrigin(origin)
  if (asked === undefined) return false
  if (allowed.length > 0) return allowed.some((entry) => parseOrigin(entry)?.text === asked.text)
  return asked.web && host !== null && asked.authority === authorityOf(host, asked.scheme)
}

interface Origin {
  readonly scheme: string
  /** Host and port. */
  readonly authority: string
  readonly text: string
  /** Whether a server like this one can be it. */
  readonly web: boolean
}

function parseOrigin(origin: string): Origin | undefined {
  const [, scheme, host, port] = ORIGIN.exec(origin.toLowerCase()) ?? []
  if (scheme === undefined || host === undefined) return undefined
  const authority = `${host}:${number(port) ?? DEFAULT_PORTS.get(scheme) ?? ''}`
  return { scheme, authority, text: `${scheme}://${authority}`, web: DEFAULT_PORTS.has(scheme) }
}

/** Host and port of a `Host` header. A port that it leaves out is the page's own default: a proxy may end the TLS. */
function authorityOf(host: string, scheme: string): string | undefined {
  const [, name, port] = HOST.exec(host.toLowerCase()) ?? []
  return name === undefined ? undefined : `${name}:${number(port) ?? DEFAULT_PORTS.get(scheme) ?? ''}`
}

/** `0443` is 443. */
function number(port: string | undefined): string | undefined {
  return port === undefined ? undefined : String(Number(port))
}
