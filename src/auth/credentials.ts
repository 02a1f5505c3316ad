/** Finds what a request shows to get in, and which subprotocol to answer. Verifies nothing. */

/** The subprotocols this server speaks; the first one that a client offers decides its format. */
const SUBPROTOCOLS: ReadonlySet<string> = new Set(['tidings.v1.json', 'tidings.v1.msgpack'])
const TOKEN_PROTOCOL = 'token.'

export interface CredentialSources {
  readonly query: URLSearchParams
  /** The headers `Authorization`, `Sec-WebSocket-Protocol` and `Cookie`. */
  readonly authorization: string | null
  readonly protocols: string | null
  readonly cookie: string | null
  /** The cookie that may carry a token; absent: none may. */
  readonly cookieName: string | undefined
  /** Browsers send cookies for whoever asks: a cookie counts only with an `Origin` that is there and allowed. */
  readonly originPresentAndAllowed: boolean
}

export interface Credentials {
  readonly kind: 'token' | 'ticket'
  readonly value: string
  readonly from: 'query' | 'header' | 'subprotocol' | 'cookie'
}

export interface FoundCredentials {
  /** Absent: nothing was shown. */
  readonly credentials?: Credentials
  /** The subprotocol to answer; absent: none. */
  readonly subprotocol?: string
}

/** The first that is there of: `?token=`, `?ticket=`, `Authorization`, the subprotocol `token.<JWT>`, the cookie. */
export function findCredentials(sources: CredentialSources): FoundCredentials {
  const offered = offeredProtocols(sources.protocols)
  const credentials = fromQuery(sources.query) ?? fromHeaders(sources, offered)
  const subprotocol = answer(offered)
  return { ...(credentials && { credentials }), ...(subprotocol !== undefined && { subprotocol }) }
}

/** What follows `Bearer` in an `Authorization` header. */
export function bearer(authorization: string | null): string | undefined {
  return /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1]
}

function fromQuery(query: URLSearchParams): Credentials | undefined {
  const token = query.get('token')
  if (token) return { kind: 'token', value: token, from: 'query' }
  const ticket = query.get('ticket')
  return ticket ? { kind: 'ticket', value: ticket, from: 'query' } : undefined
}

function fromHeaders(sources: CredentialSources, offered: readonly string[]): Credentials | undefined {
  const header = bearer(sources.authorization)
  if (header !== undefined) return { kind: 'token', value: header, from: 'header' }
  const protocol = offered.find((name) => isToken(name))
  if (protocol !== undefined) {
    return { kind: 'token', value: protocol.slice(TOKEN_PROTOCOL.length), from: 'subprotocol' }
  }
  if (sources.cookieName === undefined || !sources.originPresentAndAllowed) return undefined
  const cookie = cookieValue(sources.cookie ?? '', sources.cookieName)
  return cookie ? { kind: 'token', value: cookie, from: 'cookie' } : undefined
}

function offeredProtocols(header: string | null): string[] {
  return (header ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
}

/** A token is a secret and goes back only where a browser would otherwise fail: it demands one of what it offered. */
function answer(offered: readonly string[]): string | undefined {
  const known = offered.find((name) => SUBPROTOCOLS.has(name))
  if (known !== undefined) return known
  const [only] = offered
  return offered.length === 1 && only !== undefined && isToken(only) ? only : undefined
}

function isToken(protocol: string): boolean {
  return protocol.startsWith(TOKEN_PROTOCOL) && protocol.length > TOKEN_PROTOCOL.length
}

/** The first cookie of that name: browsers send the one with the longest path first. */
function cookieValue(header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const at = pair.indexOf('=')
    if (at < 0 || pair.slice(0, at).trim() !== name) continue
    return pair
      .slice(at + 1)
      .trim()
      .replace(/^"(.*)"$/s, '$1')
  }
  return undefined
}
