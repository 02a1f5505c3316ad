/** Who a request is of: the application's own ways first, then the configured tokens. */
import type { Authenticate } from '../core/application.ts'
import type { Identity } from '../core/identity.ts'
import type { RevokedTokens } from '../core/revoked-tokens.ts'
import { TidingsError } from '../protocol/errors.ts'
import { ownIdentity } from './own-identity.ts'

export interface AuthenticationDeps {
  /** Verifies a token, revocation included. */
  readonly verify: (token: string) => Promise<Identity>
  readonly revoked: RevokedTokens
}

/**
 * Chains the application's `authenticate` functions before the verifier. What is revoked holds for whom they know, too.
 * @param report told of what an application's function throws that is not an error for the client.
 * @returns resolves with `null` where nothing was shown that anybody knows; rejects where a token is bad.
 */
export function authentication(
  { verify, revoked }: AuthenticationDeps,
  own: readonly Authenticate[],
  report: (error: unknown) => void,
): (request: Request, token: string | undefined) => Promise<Identity | null> {
  return async (request, token) => {
    const ask = async (index: number): Promise<Identity | null> => {
      const authenticate = own[index]
      if (authenticate === undefined) return token === undefined ? null : verify(token)
      const identity = await authenticate(request, () => ask(index + 1))
      return identity && revoked.check(ownIdentity(identity))
    }
    try {
      return await ask(0)
    } catch (error) {
      if (error instanceof TidingsError) throw error
      report(error)
      throw new TidingsError('unavailable', undefined, { cause: error })
    }
  }
}
