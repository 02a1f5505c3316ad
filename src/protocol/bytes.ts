/** Bytes in a payload: MessagePack has a type for them, JSON carries them as `{"$bin": "<padded base64>"}`. */
import { TidingsError } from './errors.ts'

const MARK = '$bin'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** Whether a JSON text can hold bytes at all: one look instead of a walk over every message. */
export function mentionsBytes(text: string): boolean {
  return text.includes('"$bin"')
}

/** Whether a value holds a `Uint8Array` anywhere. */
export function holdsBytes(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (value instanceof Uint8Array) return true
  if (Array.isArray(value)) return value.some(holdsBytes)
  for (const key in value) if (holdsBytes((value as Record<string, unknown>)[key])) return true
  return false
}

/** The JSON form of a value: every `Uint8Array` becomes `{"$bin": …}`; everything else is kept as it is. */
export function bytesToJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { [MARK]: toBase64(value) }
  return mapChildren(value, bytesToJson)
}

/**
 * The reverse of {@link bytesToJson}: every object whose single key is `$bin` becomes a `Uint8Array`.
 * @throws TidingsError `invalid_message` where the text is not padded base64.
 */
export function bytesFromJson(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && Object.hasOwn(value, MARK) && Object.keys(value).length === 1) {
    return fromBase64((value as Record<string, unknown>)[MARK])
  }
  return mapChildren(value, bytesFromJson)
}

function mapChildren(value: unknown, map: (child: unknown) => unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(map)
  const copy: Record<string, unknown> = {}
  for (const [key, child] of Object.entries(value)) {
    // Assigning `__proto__` would set the copy's prototype and lose the key.
    if (key === '__proto__') Object.defineProperty(copy, key, { value: map(child), enumerable: true, writable: true })
    else copy[key] = map(child)
  }
  return copy
}

function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let start = 0; start < bytes.length; start += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(start, start + CHUNK))
  }
  return btoa(binary)
}

function fromBase64(text: unknown): Uint8Array {
  if (typeof text !== 'string' || !BASE64.test(text)) {
    throw new TidingsError('invalid_message', 'Invalid $bin: padded base64 is expected', { details: { field: MARK } })
  }
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
}

/** Arguments of one `fromCharCode` call; engines refuse calls with more than about 65,000. */
const CHUNK = 8192
