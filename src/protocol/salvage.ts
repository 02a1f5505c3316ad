/**
 * The `id` of a frame that is not going to be decoded, because it is too deep, too wide or one too many: whoever sent it
 * waits for its one answer all the same. A walk that builds nothing and ends where the id is found.
 */
import { frameIdOf } from './frames.ts'
import { endOfString } from './json.ts'
import { isStringTag } from './msgpack-scan.ts'

/** `undefined` where there is none at the top level, or the frame is broken before it. */
export function salvageId(frame: string | Uint8Array): string | undefined {
  try {
    return frameIdOf({ id: typeof frame === 'string' ? idInJson(frame) : new MsgpackWalk(frame).id() })
  } catch {
    // Broken before the id, or in it.
    return undefined
  }
}

function idInJson(text: string): unknown {
  let depth = 0
  let key: string | undefined
  let isValue = false
  for (let at = 0; at < text.length; at++) {
    const char = text[at]
    if (char === '"') {
      const end = endOfString(text, at)
      if (depth === 1 && isValue && key === '"id"') return JSON.parse(text.slice(at, end + 1))
      if (depth === 1 && !isValue) key = text.slice(at, end + 1)
      at = end
    } else if (char === '{' || char === '[') depth++
    else if (char === '}' || char === ']') depth--
    else if (depth === 1 && (char === ':' || char === ',')) isValue = char === ':'
  }
  return undefined
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Bytes that follow the tags from 0xc0 on, where they are always as many. */
const WIDTHS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17]

/** Goes over MessagePack, value by value. Throws where the bytes end early. */
class MsgpackWalk {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  id(): unknown {
    if (!isMapTag(this.view.getUint8(0))) return undefined
    for (let left = this.head().values; left > 0; left -= 2) {
      const isId = this.value() === 'id'
      const value = this.value()
      if (isId) return value
    }
    return undefined
  }

  /** Goes over one value with all that is in it; gives its text, where it is one. */
  private value(): string | undefined {
    const tag = this.view.getUint8(this.at)
    const { size, values } = this.head()
    const start = this.at
    this.at += size
    if (this.at > this.bytes.length) throw new RangeError('the frame ends early')
    if (isStringTag(tag)) return utf8.decode(this.bytes.subarray(start, this.at))
    for (let left = values; left > 0; left--) {
      const inner = this.head()
      this.at += inner.size
      left += inner.values
    }
    return undefined
  }

  /** Goes over a tag and its length; `size` bytes are next, then `values` values, of which every other in a map is a key. */
  private head(): { size: number; values: number } {
    const tag = this.view.getUint8(this.at++)
    if (tag <= 0x7f || tag >= 0xe0) return { size: 0, values: 0 }
    if (tag <= 0x9f) return { size: 0, values: isMapTag(tag) ? (tag & 0x0f) * 2 : tag & 0x0f }
    if (tag <= 0xbf) return { size: tag & 0x1f, values: 0 }
    if (tag >= 0xdc) return { size: 0, values: this.unsigned(tag % 2 ? 4 : 2) * (isMapTag(tag) ? 2 : 1) }
    if (tag >= 0xd9) return { size: this.unsigned(tag === 0xd9 ? 1 : tag === 0xda ? 2 : 4), values: 0 }
    if (tag >= 0xc4 && tag <= 0xc6) return { size: this.unsigned(tag === 0xc4 ? 1 : tag === 0xc5 ? 2 : 4), values: 0 }
    if (tag >= 0xc7 && tag <= 0xc9)
      return { size: 1 + this.unsigned(tag === 0xc7 ? 1 : tag === 0xc8 ? 2 : 4), values: 0 }
    return { size: WIDTHS[tag - 0xc0] ?? 0, values: 0 }
  }

  private unsigned(size: 1 | 2 | 4): number {
    const { at, view } = this
    this.at += size
    return size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : view.getUint32(at)
  }
}

function isMapTag(tag: number): boolean {
  return (tag >= 0x80 && tag <= 0x8f) || tag === 0xde || tag === 0xdf
}
