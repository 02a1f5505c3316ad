/**
 * The MessagePack that the protocol knows: what JSON knows, and bytes. Everything else is refused while reading (extension
 * types, keys that are not strings, integers beyond 2^53, NaN, text that is not UTF-8), and nothing is allocated for a
 * length that the frame cannot hold. Format: https://github.com/msgpack/msgpack/blob/master/spec.md
 *
 * General decoders take more than that, and rename the key `__proto__`; checking before and repairing after them walks
 * each frame three times.
 */
import { TidingsError } from './errors.ts'
import { depthLimit, type FrameLimits, keyLimit, tooDeep, tooManyKeys } from './frame-limits.ts'

/**
 * Decodes one MessagePack value. Bytes in it are copies: they do not keep the frame alive.
 * @throws TidingsError `invalid_message`: malformed, too deep, too many keys, or a value that JSON lacks.
 */
export function decodeMsgpack(bytes: Uint8Array, limits: FrameLimits): unknown {
  const reader = new Reader(bytes, limits)
  const value = reader.value(0)
  reader.end()
  return value
}

class Reader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private readonly limits: FrameLimits
  private readonly maxDepth: number
  private readonly maxKeys: number
  private at = 0
  private keys = 0

  constructor(bytes: Uint8Array, limits: FrameLimits) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.limits = limits
    this.maxDepth = depthLimit(limits)
    this.maxKeys = keyLimit(limits)
  }

  end(): void {
    if (this.at !== this.bytes.length) throw malformed('bytes follow the value')
  }

  value(depth: number): unknown {
    const tag = this.byte()
    if (tag <= 0x7f) return tag
    if (tag <= 0x8f) return this.map(tag & 0x0f, depth)
    if (tag <= 0x9f) return this.array(tag & 0x0f, depth)
    if (tag <= 0xbf) return this.text(tag & 0x1f)
    if (tag >= 0xe0) return tag - 0x100
    switch (tag) {
      case 0xc0:
        return null
      case 0xc2:
        return false
      case 0xc3:
        return true
      case 0xc4:
        return this.binary(this.uint8())
      case 0xc5:
        return this.binary(this.uint16())
      case 0xc6:
        return this.binary(this.uint32())
      case 0xca:
        return finite(this.view.getFloat32(this.take(4)))
      case 0xcb:
        return finite(this.view.getFloat64(this.take(8)))
      case 0xcc:
        return this.uint8()
      case 0xcd:
        return this.uint16()
      case 0xce:
        return this.uint32()
      case 0xcf:
        return safe(this.view.getBigUint64(this.take(8)))
      case 0xd0:
        return this.view.getInt8(this.take(1))
      case 0xd1:
        return this.view.getInt16(this.take(2))
      case 0xd2:
        return this.view.getInt32(this.take(4))
      case 0xd3:
        return safe(this.view.getBigInt64(this.take(8)))
      case 0xd9:
        return this.text(this.uint8())
      case 0xda:
        return this.text(this.uint16())
      case 0xdb:
        return this.text(this.uint32())
      case 0xdc:
        return this.array(this.uint16(), depth)
      case 0xdd:
        return this.array(this.uint32(), depth)
      case 0xde:
        return this.map(this.uint16(), depth)
      case 0xdf:
        return this.map(this.uint32(), depth)
      default:
        throw malformed('extension types are not supported')
    }
  }

  private array(length: number, depth: number): unknown[] {
    this.enter(length, depth)
    const array: unknown[] = []
    for (let index = 0; index < length; index++) array.push(this.value(depth + 1))
    return array
  }

  private map(length: number, depth: number): Record<string, unknown> {
    this.keys += length
    if (this.keys > this.maxKeys) throw tooManyKeys(this.limits)
    this.enter(length * 2, depth)
    const map: Record<string, unknown> = {}
    for (let index = 0; index < length; index++) {
      const key = this.key()
      const value = this.value(depth + 1)
      // Assigning `__proto__` would set the object's prototype and lose the key.
      if (key === '__proto__') Object.defineProperty(map, key, { value, ...PLAIN })
      else map[key] = value
    }
    return map
  }

  /** Every value takes a byte at least, so a length that the frame cannot hold is refused before anything is built. */
  private enter(values: number, depth: number): void {
    if (depth >= this.maxDepth) throw tooDeep(this.limits)
    if (values > this.bytes.length - this.at) throw malformed('it ends early')
  }

  private key(): string {
    const tag = this.byte()
    if (tag >= 0xa0 && tag <= 0xbf) return this.text(tag & 0x1f)
    if (tag === 0xd9) return this.text(this.uint8())
    if (tag === 0xda) return this.text(this.uint16())
    if (tag === 0xdb) return this.text(this.uint32())
    throw malformed('a key is not a string')
  }

  private text(length: number): string {
    const start = this.take(length)
    if (length > SHORT_TEXT) return utf8Text(this.bytes.subarray(start, start + length))
    let text = ''
    for (let index = start; index < this.at; index++) {
      const byte = this.bytes[index] as number
      if (byte > 0x7f) return utf8Text(this.bytes.subarray(start, this.at))
      text += String.fromCharCode(byte)
    }
    return text
  }

  private binary(length: number): Uint8Array {
    const start = this.take(length)
    return new Uint8Array(this.view.buffer.slice(this.view.byteOffset + start, this.view.byteOffset + this.at))
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw malformed('it ends early')
    return byte
  }

  /** Where the next `length` bytes start; the position moves behind them. */
  private take(length: number): number {
    const start = this.at
    this.at += length
    if (this.at > this.bytes.length) throw malformed('it ends early')
    return start
  }

  private uint8(): number {
    return this.byte()
  }

  private uint16(): number {
    return this.view.getUint16(this.take(2))
  }

  private uint32(): number {
    return this.view.getUint32(this.take(4))
  }
}

/** Up to this many bytes a loop over ASCII beats the call into the text decoder. */
const SHORT_TEXT = 12
const PLAIN = { enumerable: true, writable: true, configurable: true }
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
// Without ignoreBOM a text that starts with U+FEFF would lose it.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function utf8Text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('a string is not UTF-8')
  }
}

function safe(value: bigint): number {
  if (value > MAX_SAFE || value < -MAX_SAFE) throw malformed('an integer is beyond 2^53')
  return Number(value)
}

function finite(value: number): number {
  if (!Number.isFinite(value)) throw malformed('a number is not finite')
  return value
}

function malformed(why: string): TidingsError {
  return new TidingsError('invalid_message', `The frame is not plain MessagePack: ${why}`, {
    details: { field: 'frame' },
  })
}
