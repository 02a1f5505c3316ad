/** Keeps credentials out of the log, wherever they turn up: by the name of the field, and by their look. */

export const REDACTED = '[redacted]'

/** Fields whose value is a credential: `token`, `access_token`, `Authorization`, `setCookie`, `previous_secrets` … */
const SECRET_KEY = /(?:token|ticket|authorization|cookie|secret|password|api[-_]?key)s?$/i

/** A credential in something that looks like a URL, its query perhaps encoded within another one. */
const IN_URL = /((?:[?&;]|%3f|%26)(?:[a-z]+_)?(?:token|ticket|secret)(?:=|%3d))[^&;\s"'#<>]+/gi
/** The same in JSON that was logged as text. */
const IN_JSON = /("(?:[a-z]+_)?(?:token|ticket|secret)"\s*:\s*")[^"]+/gi
/** Runs of characters that may hold a JWT: looked at one by one, so that no text makes the search go back over itself. */
const RUN = /[\w.-]{12,}/g
/** Header and payload of a JWT are JSON objects, and base64url of `{"` or `{ ` begins so. */
const OBJECT_START = /e[wy]/
/** Shortest header, in characters of base64url: less than any object with an `alg` has. */
const MIN_HEADER_LENGTH = 8
const BEARER = /\b(bearer\s+)[^\s,;"']+/gi
/** The subprotocol that carries a token, also one that is no JWT. */
const TOKEN_PROTOCOL = /\b(token\.)[\w.~+/=-]{16,}/g

/** Whether a text may hold a credential, so that {@link redact} has to look closer. */
export function isSuspicious(text: string): boolean {
  return SUSPICIOUS.test(text)
}

export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key)
}

/**
 * Something that every pattern above needs somewhere. Ids, names and addresses have none of it, and are most of what is
 * logged: five searches through each of them were a tenth of what a connection costs.
 */
const SUSPICIOUS = /\.e|token\.|[=%":\s]/i

/** The text without credentials. To be called with text that has been cut: it looks at every character. */
export function redact(text: string): string {
  if (!isSuspicious(text)) return text
  return text
    .replace(RUN, withoutJwt)
    .replace(IN_URL, `$1${REDACTED}`)
    .replace(IN_JSON, `$1${REDACTED}`)
    .replace(BEARER, `$1${REDACTED}`)
    .replace(TOKEN_PROTOCOL, `$1${REDACTED}`)
}

/** Cuts a run where a JWT begins: an object's start, a dot, another object's start. */
function withoutJwt(run: string): string {
  for (let dot = run.indexOf('.e'); dot >= 0; dot = run.indexOf('.e', dot + 1)) {
    if (!OBJECT_START.test(run.slice(dot + 1, dot + 3))) continue
    const part = run.slice(run.lastIndexOf('.', dot - 1) + 1, dot)
    const header = part.search(OBJECT_START)
    if (header >= 0 && part.length - header >= MIN_HEADER_LENGTH)
      return run.slice(0, dot - part.length + header) + REDACTED
  }
  return run
}
