/** MessagePack frames. The library decodes more than the protocol allows, so the bytes are walked first. */
import { Packr } from 'msgpackr/pack'
import { Unpackr } from 'msgpackr/unpack'
import { TidingsError } from './errors.ts'
import type { FrameLimits } from './frame-limits.ts'
import { scanMsgpack } from './msgpack-scan.ts'
import { toPlain } from './plain.ts'

// Without these options the library writes its own record extension, maps that others read as sparse, and gives big integers.
const OPTIONS = { useRecords: false, variableMapSize: true, int64AsType: 'number', copyBuffers: true } as const
const packr = new Packr(OPTIONS)
const unpackr = new Unpackr({ ...OPTIONS, mapsAsObjects: true })
/** Slower, but it renames no key. */
const mapUnpackr = new Unpackr({ ...OPTIONS, mapsAsObjects: false })

/**
 * Decodes one MessagePack value. Bytes in it are copies: they do not keep the frame alive.
 * @throws TidingsError `invalid_message`: malformed, too deep, too many keys, extension types, what JSON lacks.
 */
export function decodeMsgpack(bytes: Uint8Array, limits: FrameLimits): unknown {
  const { namesPrototype } = scanMsgpack(bytes, limits)
  try {
    return namesPrototype ? fromMaps(mapUnpackr.unpack(bytes)) : unpackr.unpack(bytes)
  } catch (cause) {
    throw new TidingsError('invalid_message', 'The frame is not MessagePack', { cause, details: { field: 'frame' } })
  }
}

/** Encodes a value by the rules of `JSON.stringify`, with bytes as bytes. */
export function encodeMsgpack(value: unknown): Uint8Array {
  // The library packs into a pool that it reuses; what goes to a queue or a socket must stay as it is.
  return Uint8Array.prototype.slice.call(packr.pack(toPlain(value) ?? null))
}

/** Maps as objects, with every key as it is: the library would rename `__proto__`. */
function fromMaps(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, child]) => [key, fromMaps(child)]))
  return Array.isArray(value) ? value.map(fromMaps) : value
}
