/** JSON frames: limits are counted on the text before it is parsed, because parsing is what an attacker wants to pay for. */
import { bytesFromJson, bytesReplacer, holdsBytes, mayHoldBytes } from './bytes.ts'
import { TidingsError } from './errors.ts'
import { depthLimit, type FrameLimits, keyLimit, tooDeep, tooManyKeys } from './frame-limits.ts'

const QUOTE = 34
const BACKSLASH = 92
const COLON = 58
const OPEN_BRACKET = 91
const CLOSE_BRACKET = 93
const OPEN_BRACE = 123
const CLOSE_BRACE = 125

/**
 * Parses a JSON text.
 * @throws TidingsError `invalid_message`: not JSON, too deep, too many keys, bad `$bin`.
 */
export function decodeJson(text: string, limits: FrameLimits): unknown {
  checkShape(text, limits)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new TidingsError('invalid_message', 'The frame is not JSON', { cause, details: { field: 'frame' } })
  }
  return mayHoldBytes(text) ? bytesFromJson(value, refuseBytes) : value
}

function refuseBytes(): never {
  throw new TidingsError('invalid_message', 'Invalid $bin: padded base64 is expected', { details: { field: '$bin' } })
}

/** Encodes a value; bytes become `{"$bin": …}`. */
export function encodeJson(value: unknown): string {
  return holdsBytes(value) ? JSON.stringify(value, bytesReplacer) : JSON.stringify(value)
}

/** Counts depth and keys by the brackets and colons outside strings; malformed text is left to the parser. */
function checkShape(text: string, limits: FrameLimits): void {
  const maxDepth = depthLimit(limits)
  const maxKeys = keyLimit(limits)
  let depth = 0
  let keys = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case COLON:
        if (++keys > maxKeys) throw tooManyKeys(limits)
        break
      case OPEN_BRACKET:
      case OPEN_BRACE:
        if (++depth > maxDepth) throw tooDeep(limits)
        break
      case CLOSE_BRACKET:
      case CLOSE_BRACE:
        depth--
        break
    }
  }
}

/** The index of the quote that ends the string which starts at `start`, or the text's end. */
export function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes++
    if (backslashes % 2 === 0) return at
  }
  return text.length
}
