/** Issues tokens: for development, for tests and for the `token` command. In production an application's backend does. */

import { MIN_SECRET_BYTES } from './hmac.ts'

/**
 * Signs claims with HS256.
 * @param secret at least 32 bytes, as the verifier demands.
 * @param expiresInSeconds from now; negative gives a token that has expired, for trying that out.
 */
export async function issueToken(
  secret: string,
  claims: Record<string, unknown>,
  expiresInSeconds: number,
): Promise<string> {
  if (!Number.isFinite(expiresInSeconds)) throw new Error('a token needs an end: expiresInSeconds is not finite')
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) throw new Error(`a secret has at least ${MIN_SECRET_BYTES} bytes`)
  // Loaded when first needed: it pulls in Elysia, for which commands that sign nothing should not wait.
  const { jwt } = await import('@elysiajs/jwt')
  const { jwt: issuer } = jwt({ name: 'jwt', secret, alg: 'HS256' }).decorator
  return await issuer.sign({ ...asClaims(claims), exp: Math.floor(Date.now() / 1000) + Math.floor(expiresInSeconds) })
}

type Signed = Parameters<ReturnType<typeof import('@elysiajs/jwt').jwt<'jwt'>>['decorator']['jwt']['sign']>[0]

/** What goes into a token is JSON, whatever the plugin's types say about depth. */
function asClaims(claims: Record<string, unknown>): Signed {
  return JSON.parse(JSON.stringify(claims))
}
