/** What no route takes: preflights, methods that an address does not have, and addresses that do not exist. */
import { TidingsError } from '../protocol/errors.ts'
import { hostIsClear, pathOf } from './address.ts'
import { looksLikeAdmin } from './admin-guard.ts'
import type { HttpDeps } from './deps.ts'

interface Route {
  readonly method: string
  readonly path: string
}

export interface FallbackOptions {
  /** Every route there is, asked when it is first needed. */
  readonly routes: () => readonly Route[]
  /** Whether the admin routes answer here: then what looks like one is refused like one. */
  readonly admin: boolean
}

/**
 * Makes the answer to a request that no route takes.
 * @returns never throws: every refusal is an answer.
 */
export function fallback({ border, guard }: HttpDeps, { routes, admin }: FallbackOptions) {
  let known: (readonly [pattern: RegExp, method: string])[] | undefined
  const methodsOf = (path: string): string[] => {
    known ??= routes().map(({ method, path }) => [patternOf(path), method])
    return known.filter(([pattern, method]) => method !== 'ALL' && pattern.test(path)).map(([, method]) => method)
  }
  return async (request: Request): Promise<Response> => {
    if (border.cors.isPreflight(request)) return border.cors.preflight(request)
    const path = pathOf(request)
    try {
      if (admin && looksLikeAdmin(path)) await guard.check(request.headers.get('authorization'))
      if (!hostIsClear(request)) throw unclearHost()
    } catch (error) {
      return border.failure(request, error)
    }
    const methods = methodsOf(path)
    if (methods.length === 0) return border.failure(request, new TidingsError('not_found'))
    const refused = new TidingsError('not_found', 'This address does not take that method', { status: 405 })
    const response = border.failure(request, refused)
    const allowed = methods.includes('GET') ? ['HEAD', ...methods] : methods
    response.headers.set('allow', [...new Set(allowed)].sort().join(', '))
    return response
  }
}

export function unclearHost(): TidingsError {
  return new TidingsError('invalid_message', 'One Host header is expected', { details: { field: 'host' } })
}

/** Whom a route's path matches; a slash at the end makes no difference. */
function patternOf(path: string): RegExp {
  const parts = path
    .replace(/\/$/, '')
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : RegExp.escape(part)))
  return new RegExp(`^${parts.join('/')}/?$`)
}
