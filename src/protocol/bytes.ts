/** Bytes in a payload: MessagePack has a type for them, JSON carries them as `{"$bin": "<padded base64>"}`. */

const MARK = '$bin'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/**
 * Whether a JSON text may hold bytes: one look at the text instead of a walk over every message. A key can be written with
 * escapes, so a text that has any is walked.
 */
export function mayHoldBytes(text: string): boolean {
  return text.includes('"$bin"') || text.includes('\\u')
}

/** Whether a value holds a `Uint8Array` anywhere. */
export function holdsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Uint8Array) return true
  if (Array.isArray(value)) return value.some(holdsBytes)
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key]
    if (typeof child === 'object' && child !== null && holdsBytes(child)) return true
  }
  return false
}

/** Given to `JSON.stringify` it writes every `Uint8Array` as `{"$bin": …}`, and everything else as it would be without. */
export function bytesReplacer(this: unknown, key: string, value: unknown): unknown {
  // A Node `Buffer` has been asked for its own JSON form already: what it was stands in the holder.
  const original = (this as Record<string, unknown>)[key]
  return original instanceof Uint8Array ? { [MARK]: toBase64(original) } : value
}

/**
 * The reverse of {@link bytesReplacer} for a value fresh from `JSON.parse`, changed in place: every object whose single key
 * is `$bin` becomes a `Uint8Array`, or what `onInvalid` returns where the text is not padded base64.
 */
export function bytesFromJson(value: unknown, onInvalid: (marked: object) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = bytesFromJson(value[index], onInvalid)
    return value
  }
  const keys = Object.keys(value)
  if (keys.length === 1 && keys[0] === MARK) {
    return fromBase64((value as Record<string, unknown>)[MARK]) ?? onInvalid(value)
  }
  for (const key of keys) {
    const child = (value as Record<string, unknown>)[key]
    // The key is the object's own, so that even `__proto__` is set like any other.
    if (typeof child === 'object' && child !== null)
      (value as Record<string, unknown>)[key] = bytesFromJson(child, onInvalid)
  }
  return value
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let start = 0; start < bytes.length; start += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK))
  }
  return btoa(binary)
}

function fromBase64(text: unknown): Uint8Array | undefined {
  if (typeof text !== 'string' || !BASE64.test(text)) return undefined
  const binary = atob(text)
  const bytes = new Uint8Array(binary.length)
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index)
  return bytes
}

/** Arguments of one `fromCharCode` call; engines refuse calls with more than about 65,000. */
const CHUNK = 8192
