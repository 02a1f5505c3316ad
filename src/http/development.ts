/** In development alone: tokens for whoever asks, so that the start page needs no login. */
import { isIP } from 'node:net'
import { type AnyElysia, Elysia } from 'elysia'
import { TidingsError } from '../protocol/errors.ts'
import type { HttpDeps } from './deps.ts'

/** Seconds for which such a token is good: as long as one plays with it. */
const TOKEN_SECONDS = 24 * 3600
/** Characters of the name that is made up. Enough that two tabs never are the same user. */
const NAME_LENGTH = 6

export type SignToken = (claims: Record<string, unknown>, expiresInSeconds: number) => Promise<string>

/** @param sign absent where there is no secret to sign with. MUST NOT be mounted in production. */
export function developmentRoutes({ border }: HttpDeps, sign: SignToken | undefined): AnyElysia {
  return new Elysia().post(
    '/development/token',
    async ({ request }) => {
      // Only this server's own page: another site's script must not get a token for a server on its visitor's machine.
      if (request.headers.get('sec-fetch-site') === 'cross-site' || !isLocal(request))
        throw new TidingsError('forbidden')
      if (sign === undefined) throw new TidingsError('not_found')
      const name = `guest-${crypto.randomUUID().slice(0, NAME_LENGTH)}`
      return border.answer(request, { token: await sign({ user_id: name, username: name }, TOKEN_SECONDS) })
    },
    { detail: { hide: true } },
  )
}

/** A name that somebody else's DNS points here would make another site's page look like our own: only addresses count. */
function isLocal(request: Request): boolean {
  const { hostname } = new URL(request.url)
  return hostname === 'localhost' || isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0
}
