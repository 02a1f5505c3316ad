/**
 * A walk over MessagePack bytes that builds nothing: it proves that what follows is one plain value (nil, booleans, finite
 * numbers, strings, bytes, arrays, maps with string keys) within the limits, before a decoder allocates for it.
 * Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { TidingsError } from './errors.ts'
import { depthLimit, type FrameLimits, keyLimit, tooDeep, tooManyKeys } from './frame-limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true })
const PROTOTYPE = new TextEncoder().encode('__proto__')

/** What the walk has seen. */
export interface Scanned {
  /** Whether a key is `__proto__`, which decoders treat in ways of their own. */
  readonly namesPrototype: boolean
}

/** @throws TidingsError `invalid_message` on the first thing that is not allowed. */
export function scanMsgpack(bytes: Uint8Array, limits: FrameLimits): Scanned {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  /** Per open container: values that are still to come, and whether it is a map. */
  const remaining: number[] = []
  const isMap: boolean[] = []
  const maxDepth = depthLimit(limits)
  const maxKeys = keyLimit(limits)
  let at = 0
  let keys = 0
  let namesPrototype = false

  const need = (length: number): void => {
    if (at + length > bytes.length) throw malformed('it ends early')
  }
  const unsigned = (size: 1 | 2 | 4): number => {
    need(size)
    const value = size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at)
    at += size
    return value
  }
  const text = (length: number): void => {
    need(length)
    checkUtf8(bytes, at, at + length)
    if (length === PROTOTYPE.length && isPrototype(bytes, at)) namesPrototype = true
    at += length
  }
  const skip = (length: number): void => {
    need(length)
    at += length
  }
  const open = (count: number, map: boolean): void => {
    if (remaining.length >= maxDepth) throw tooDeep(limits)
    if (map) {
      keys += count
      if (keys > maxKeys) throw tooManyKeys(limits)
    }
    // Every element takes a byte at least: a length that the frame cannot hold is refused before the walk.
    if (count * (map ? 2 : 1) > bytes.length - at) throw malformed('it ends early')
    remaining.push(map ? count * 2 : count)
    isMap.push(map)
  }
  const wide = (value: bigint): void => {
    if (value > MAX_SAFE || value < -MAX_SAFE) throw malformed('an integer is beyond 2^53')
    at += 8
  }
  const finite = (value: number, size: number): void => {
    if (!Number.isFinite(value)) throw malformed('a number is not finite')
    at += size
  }

  do {
    need(1)
    const tag = bytes[at++] as number
    const top = remaining.length - 1
    if (top >= 0) {
      const left = remaining[top] as number
      if (isMap[top] && left % 2 === 0 && !isStringTag(tag)) throw malformed('a key is not a string')
      remaining[top] = left - 1
    }
    if (tag <= 0x8f) {
      if (tag >= 0x80) open(tag & 0x0f, true)
    } else if (tag <= 0x9f) open(tag & 0x0f, false)
    else if (tag <= 0xbf) text(tag & 0x1f)
    else if (tag < 0xe0)
      switch (tag) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          break
        case 0xc4:
          skip(unsigned(1))
          break
        case 0xc5:
          skip(unsigned(2))
          break
        case 0xc6:
          skip(unsigned(4))
          break
        case 0xca:
          need(4)
          finite(view.getFloat32(at), 4)
          break
        case 0xcb:
          need(8)
          finite(view.getFloat64(at), 8)
          break
        case 0xcc:
        case 0xd0:
          skip(1)
          break
        case 0xcd:
        case 0xd1:
          skip(2)
          break
        case 0xce:
        case 0xd2:
          skip(4)
          break
        case 0xcf:
          need(8)
          wide(view.getBigUint64(at))
          break
        case 0xd3:
          need(8)
          wide(view.getBigInt64(at))
          break
        case 0xd9:
          text(unsigned(1))
          break
        case 0xda:
          text(unsigned(2))
          break
        case 0xdb:
          text(unsigned(4))
          break
        case 0xdc:
          open(unsigned(2), false)
          break
        case 0xdd:
          open(unsigned(4), false)
          break
        case 0xde:
          open(unsigned(2), true)
          break
        case 0xdf:
          open(unsigned(4), true)
          break
        default:
          throw malformed('extension types are not supported')
      }
    while (remaining.length > 0 && remaining[remaining.length - 1] === 0) {
      remaining.pop()
      isMap.pop()
    }
  } while (remaining.length > 0)
  if (at !== bytes.length) throw malformed('bytes follow the value')
  return { namesPrototype }
}

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Whether a value that begins with this byte is a string. */
export function isStringTag(tag: number): boolean {
  return (tag >= 0xa0 && tag <= 0xbf) || (tag >= 0xd9 && tag <= 0xdb)
}

/** Refuses text that is not UTF-8. Most text is ASCII, and a loop over it is cheaper than a call into the decoder. */
function checkUtf8(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) <= 0x7f) continue
    try {
      utf8.decode(bytes.subarray(at, end))
      return
    } catch {
      throw malformed('a string is not UTF-8')
    }
  }
}

function isPrototype(bytes: Uint8Array, start: number): boolean {
  return PROTOTYPE.every((byte, index) => bytes[start + index] === byte)
}

function malformed(why: string): TidingsError {
  return new TidingsError('invalid_message', `The frame is not plain MessagePack: ${why}`, {
    details: { field: 'frame' },
  })
}
