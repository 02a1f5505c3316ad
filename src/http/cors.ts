/** Which pages of other origins may read our answers. The origin itself is named, never `*`: then cookies can be allowed too. */
import { originAllowed } from '../auth/origin.ts'

export interface CorsOptions {
  readonly allowedOrigins: readonly string[]
  /** Whether a cookie may carry credentials, so that a browser has to be allowed to send it. */
  readonly cookies: boolean
}

/** Seconds for which a browser may remember what a preflight said. */
const MAX_AGE_S = 600

const VARY = { vary: 'origin' }

export class Cors {
  private readonly options: CorsOptions

  constructor(options: CorsOptions) {
    this.options = options
  }

  /** The headers of an answer, an error too: without them a page cannot read why it failed. */
  headers(request: Request): Record<string, string> {
    const origin = request.headers.get('origin')
    if (origin === null || !this.allows(request, origin)) return VARY
    return {
      ...VARY,
      'access-control-allow-origin': origin,
      'access-control-expose-headers': 'retry-after',
      ...(this.mayBringCookies() && { 'access-control-allow-credentials': 'true' }),
    }
  }

  /** Whether a browser asks if it may ask. Such a request never has credentials. */
  isPreflight({ method, headers }: Request): boolean {
    return method === 'OPTIONS' && headers.has('origin') && headers.has('access-control-request-method')
  }

  /** The answer to a preflight: for an origin that is not allowed without the headers that would allow it. */
  preflight(request: Request): Response {
    const headers = this.headers(request)
    const allowed = 'access-control-allow-origin' in headers && {
      'access-control-allow-methods': 'GET, POST, DELETE',
      'access-control-allow-headers': 'authorization, content-type, last-event-id',
      'access-control-max-age': String(MAX_AGE_S),
    }
    return new Response(null, { status: 204, headers: { ...headers, ...allowed } })
  }

  private allows(request: Request, origin: string): boolean {
    return originAllowed(origin, request.headers.get('host'), this.options.allowedOrigins)
  }

  /** Where every origin is allowed, none is trusted with a visitor's cookies. */
  private mayBringCookies(): boolean {
    return this.options.cookies && !this.options.allowedOrigins.includes('*')
  }
}
