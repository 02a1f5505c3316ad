/**
 * Writes MessagePack for the values that JSON can say, and bytes, by the rules of `JSON.stringify`: `toJSON` is asked,
 * keys whose value is `undefined` are left out, numbers that are not finite become nil. So members of one room who read
 * different formats read the same message. Text is always UTF-8: a lone surrogate, which JSON can carry, would make the
 * whole frame unreadable to other decoders and becomes U+FFFD.
 */

/** Encodes a value into bytes of its own. @throws TypeError for a bigint, as `JSON.stringify` does. */
export function encodeMsgpack(value: unknown): Uint8Array {
  // A `toJSON` may encode something itself: then it gets a writer of its own.
  const writer = spare ?? new Writer()
  spare = undefined
  try {
    return writer.encode(value)
  } finally {
    if (writer.size <= MAX_KEPT_BYTES) spare = writer
  }
}

const FIRST_BYTES = 4096
/** A buffer that one large frame has grown past this is not kept: four times the default limit of a message. */
const MAX_KEPT_BYTES = 256 * 1024
/** Up to this many characters a loop over ASCII beats the call into the text encoder. */
const SHORT_TEXT = 48
const UINT32 = 0x1_0000_0000
const utf8 = new TextEncoder()
let spare: Writer | undefined

class Writer {
  private bytes = new Uint8Array(FIRST_BYTES)
  private view = new DataView(this.bytes.buffer)
  private at = 0

  get size(): number {
    return this.bytes.length
  }

  encode(value: unknown): Uint8Array {
    this.at = 0
    this.value(asJson(value, ''))
    return this.bytes.slice(0, this.at)
  }

  private value(value: unknown): void {
    switch (typeof value) {
      case 'string':
        this.text(value)
        break
      case 'number':
        this.number(value)
        break
      case 'boolean':
        this.byte(value ? 0xc3 : 0xc2)
        break
      case 'object':
        if (value === null) this.byte(0xc0)
        else if (value instanceof Uint8Array) this.binary(value)
        else if (Array.isArray(value)) this.array(value)
        else this.map(value as Record<string, unknown>)
        break
      case 'bigint':
        throw new TypeError('MessagePack frames, like JSON, cannot carry a bigint: convert it to a string')
      default:
        this.byte(0xc0)
    }
  }

  private map(map: Record<string, unknown>): void {
    const keys = Object.keys(map)
    const header = this.at
    if (keys.length < 16) this.byte(0x80 | keys.length)
    else this.length(keys.length, 0, 0xde, 0xdf)
    let count = 0
    for (const key of keys) {
      const value = asJson(map[key], key)
      if (value === undefined || typeof value === 'function' || typeof value === 'symbol') continue
      this.text(key)
      this.value(value)
      count++
    }
    if (count === keys.length) return
    // What was left out is only known now; the header keeps its width.
    if (keys.length < 16) this.bytes[header] = 0x80 | count
    else if (keys.length < 0x10000) this.view.setUint16(header + 1, count)
    else this.view.setUint32(header + 1, count)
  }

  private array(array: readonly unknown[]): void {
    if (array.length < 16) this.byte(0x90 | array.length)
    else this.length(array.length, 0, 0xdc, 0xdd)
    for (let index = 0; index < array.length; index++) this.value(asJson(array[index], String(index)))
  }

  private binary(binary: Uint8Array): void {
    this.length(binary.length, 0xc4, 0xc5, 0xc6)
    this.reserve(binary.length)
    this.bytes.set(binary, this.at)
    this.at += binary.length
  }

  private text(text: string): void {
    const length = text.length
    if (length < SHORT_TEXT && this.ascii(text, length)) return
    const size = utf8Length(text)
    if (size < 32) this.byte(0xa0 | size)
    else this.length(size, 0xd9, 0xda, 0xdb)
    this.reserve(size)
    utf8.encodeInto(text, this.bytes.subarray(this.at))
    this.at += size
  }

  /** Writes a short text that is all ASCII; leaves the position alone and answers false where it is not. */
  private ascii(text: string, length: number): boolean {
    this.reserve(length + 2)
    let at = this.at
    if (length < 32) this.bytes[at++] = 0xa0 | length
    else {
      this.bytes[at++] = 0xd9
      this.bytes[at++] = length
    }
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code > 0x7f) return false
      this.bytes[at++] = code
    }
    this.at = at
    return true
  }

  private number(number: number): void {
    if (!Number.isSafeInteger(number)) {
      if (Number.isFinite(number)) this.float(number)
      else this.byte(0xc0)
    } else if (number >= 0) this.unsigned(number)
    else this.signed(number)
  }

  private unsigned(number: number): void {
    if (number < 0x80) this.byte(number)
    else if (number < UINT32) this.length(number, 0xcc, 0xcd, 0xce)
    else this.wide(0xcf, number)
  }

  private signed(number: number): void {
    this.reserve(5)
    if (number >= -32) this.bytes[this.at++] = number & 0xff
    else if (number >= -0x80) {
      this.bytes[this.at++] = 0xd0
      this.bytes[this.at++] = number & 0xff
    } else if (number >= -0x8000) {
      this.bytes[this.at] = 0xd1
      this.view.setInt16(this.at + 1, number)
      this.at += 3
    } else if (number >= -0x8000_0000) {
      this.bytes[this.at] = 0xd2
      this.view.setInt32(this.at + 1, number)
      this.at += 5
    } else this.wide(0xd3, number)
  }

  /** Eight bytes in two's complement, high half first. */
  private wide(tag: number, number: number): void {
    this.reserve(9)
    this.bytes[this.at] = tag
    this.view.setUint32(this.at + 1, Math.floor(number / UINT32))
    this.view.setUint32(this.at + 5, number)
    this.at += 9
  }

  private float(number: number): void {
    this.reserve(9)
    this.bytes[this.at] = 0xcb
    this.view.setFloat64(this.at + 1, number)
    this.at += 9
  }

  /** A tag and an unsigned number in one, two or four bytes; a tag of 0 is a width that the kind of value lacks. */
  private length(length: number, tag8: number, tag16: number, tag32: number): void {
    this.reserve(5)
    if (length < 0x100 && tag8 !== 0) {
      this.bytes[this.at++] = tag8
      this.bytes[this.at++] = length
    } else if (length < 0x10000) {
      this.bytes[this.at] = tag16
      this.view.setUint16(this.at + 1, length)
      this.at += 3
    } else {
      this.bytes[this.at] = tag32
      this.view.setUint32(this.at + 1, length)
      this.at += 5
    }
  }

  private byte(byte: number): void {
    this.reserve(1)
    this.bytes[this.at++] = byte
  }

  private reserve(length: number): void {
    if (this.at + length <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.at + length))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }
}

/** What `JSON.stringify` would look at in place of an object that has a `toJSON`; bytes stay bytes. */
function asJson(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return 'toJSON' in value && typeof value.toJSON === 'function' ? value.toJSON(key) : value
}

/** Bytes of a text in UTF-8, a lone surrogate counted as the U+FFFD that is written for it. */
function utf8Length(text: string): number {
  let size = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x80) continue
    if (code < 0x800) size += 1
    else {
      size += 2
      const next = text.charCodeAt(index + 1)
      if (code >= 0xd800 && code < 0xdc00 && next >= 0xdc00 && next < 0xe000) index++
    }
  }
  return size
}
