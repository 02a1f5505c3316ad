/** The grammar of every name that a client may choose. Nothing outside it reaches a topic. */

const ROOM = /^[A-Za-z0-9_.:@-]{1,128}$/
const TYPE = /^[A-Za-z0-9_.:-]{1,64}$/
/** Control characters, and halves of characters: in UTF-8 all halves are one and the same, and so would be their users. */
const UNFIT = /[\p{Cc}\p{Cs}]/u

/** Longest user or device id, in UTF-16 code units: long enough for an e-mail address or a URN. */
export const MAX_ID_LENGTH = 256
/** Longest frame id: a UUID with a prefix fits, and it is kept for every remembered publish. */
export const MAX_FRAME_ID_LENGTH = 64

export function isRoomName(value: unknown): value is string {
  return typeof value === 'string' && ROOM.test(value)
}

export function isTypeName(value: unknown): value is string {
  return typeof value === 'string' && TYPE.test(value)
}

/** A user or device id: 1 to 256 characters without control characters. */
export function isIdentifier(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= MAX_ID_LENGTH && !UNFIT.test(value)
}

/** A user or device id as backends write it: a number becomes a decimal string; `undefined` where it is neither. */
export function toIdentifier(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value) : undefined
  return isIdentifier(value) ? value : undefined
}

/**
 * Compiles a name pattern: `*` is any run of characters, nothing else is special.
 * The parts between the stars are looked for from left to right, each once: no pattern and no name makes it go back,
 * as a regular expression with many `.*` would.
 */
export function compilePattern(pattern: string): (name: string) => boolean {
  const [prefix = '', ...middle] = pattern.split('*')
  const suffix = middle.pop()
  if (suffix === undefined) return (name) => name === pattern
  return (name) => {
    const end = name.length - suffix.length
    if (end < prefix.length || !name.startsWith(prefix) || !name.endsWith(suffix)) return false
    let at = prefix.length
    for (const part of middle) {
      const found = name.indexOf(part, at)
      if (found < 0 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}
