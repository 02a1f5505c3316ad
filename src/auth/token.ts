/** The outer form of a token: three parts, and a header that asks for nothing unusual. */

import { TidingsError } from '../protocol/errors.ts'

/** Longest token, in characters: what a request line and its headers can carry; counted before anything is parsed. */
export const MAX_TOKEN_LENGTH = 8192

const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export interface CompactToken {
  readonly alg: string
  readonly kid?: string
  /** What the signature covers: header and payload, still encoded. */
  readonly signed: string
  readonly payload: string
  readonly signature: string
}

/**
 * The one answer to every bad token, so that nobody learns from it which check failed.
 * @param cause for the log; `claim` names a badly shaped claim of an authentic token, which its issuer may know.
 */
export function invalidToken(cause: unknown, claim?: string): TidingsError {
  return new TidingsError('invalid_token', undefined, { cause, ...(claim !== undefined && { details: { claim } }) })
}

/** Takes a token apart without believing it. Throws `invalid_token`. */
export function parseCompact(token: string): CompactToken {
  if (token.length > MAX_TOKEN_LENGTH) throw invalidToken(`longer than ${MAX_TOKEN_LENGTH} characters`)
  if (!COMPACT.test(token)) throw invalidToken('not three base64url parts')
  const first = token.indexOf('.')
  const last = token.lastIndexOf('.')
  const header = decodeObject(token.slice(0, first))
  const { alg, kid } = header
  if (typeof alg !== 'string') throw invalidToken('header without alg')
  if (kid !== undefined && typeof kid !== 'string') throw invalidToken('kid is not a string')
  // Extensions change what is signed (b64=false) or what must be understood: none is, so none is accepted.
  if (Object.hasOwn(header, 'crit') || Object.hasOwn(header, 'b64')) throw invalidToken('header with crit or b64')
  return {
    alg,
    ...(kid !== undefined && { kid }),
    signed: token.slice(0, last),
    payload: token.slice(first + 1, last),
    signature: token.slice(last + 1),
  }
}

/** The JSON object in one part of a token, without a prototype. Throws `invalid_token`. */
export function decodeObject(part: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(UTF8.decode(Buffer.from(part, 'base64url')))
  } catch (cause) {
    throw invalidToken(cause)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidToken('not a JSON object')
  // A claim that is absent must read as absent, also when it is called `constructor`.
  return Object.setPrototypeOf(value, null)
}
