/** Signs tokens with the configured secret, as the verifier of the same configuration wants them. */

import type { Config } from '../config.ts'

/** Why no token can be signed with a configuration, for people; `undefined` where one can. */
export function cannotSign({ auth }: Config): string | undefined {
  if (auth.secret === undefined) {
    return auth.jwks === undefined
      ? 'there is no auth.secret to sign with; tidings token --new-secret makes one'
      : 'there is no auth.secret; tokens for auth.jwks are signed by whoever holds its private keys'
  }
  if (!auth.algorithms.includes('HS256')) return 'tokens are signed with HS256, which auth.algorithms does not allow'
  return undefined
}

/** Signs claims, with the issuer and the audience that the configuration asks for where the claims name none. */
export async function sign(
  { auth }: Config,
  claims: Record<string, unknown>,
  expiresInSeconds: number,
): Promise<string> {
  if (auth.secret === undefined) throw new Error('there is no secret to sign with')
  const { issueToken } = await import('../auth/issue.ts')
  const expected = {
    ...(auth.issuer !== undefined && { iss: auth.issuer }),
    ...(auth.audience !== undefined && { aud: auth.audience }),
  }
  return await issueToken(auth.secret, { ...expected, ...claims }, expiresInSeconds)
}
