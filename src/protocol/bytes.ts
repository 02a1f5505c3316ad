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

/** The JSON form of a value: every `Uint8Array` becomes `{"$bin": …}`; everything else is kept as it is. */
export function bytesToJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return { [MARK]: toBase64(value) }
  if (Array.isArray(value)) return value.map(bytesToJson)
  // A copy of a date would be an empty object: what knows its own JSON form is asked for it, as `JSON.stringify` asks.
  if ('toJSON' in value && typeof value.toJSON === 'function') return value
  const copy: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) setOwn(copy, key, bytesToJson(child))
  return copy
}

/**
 * The reverse of {@link bytesToJson} for a value fresh from `JSON.parse`, changed in place: every object whose single key
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
    if (typeof child === 'object' && child !== null) setOwn(value, key, bytesFromJson(child, onInvalid))
  }
  return value
}

/** Assigning `__proto__` would set the object's prototype and lose the key. */
function setOwn(object: object, key: string, value: unknown): void {
  if (key === '__proto__') {
    Object.defineProperty(object, key, { value, enumerable: true, writable: true, configurable: true })
  } else (object as Record<string, unknown>)[key] = value
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
