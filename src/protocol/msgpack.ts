/** MessagePack frames. The library decodes more than the protocol allows, so the bytes are walked first. */
import { Packr } from 'msgpackr'
import { TidingsError } from './errors.ts'
import type { FrameLimits } from './frame-limits.ts'
import { scanMsgpack } from './msgpack-scan.ts'

// Without these options the library writes its own record extension, an extension type for undefined, and maps that
// other implementations read as sparse; see the specification at https://github.com/msgpack/msgpack/blob/master/spec.md
const packr = new Packr({ useRecords: false, variableMapSize: true, encodeUndefinedAsNil: true, int64AsType: 'number' })

/**
 * Decodes one MessagePack value.
 * @throws TidingsError `invalid_message`: malformed, too deep, too many keys, extension types, numbers that JSON lacks.
 */
export function decodeMsgpack(bytes: Uint8Array, limits: FrameLimits): unknown {
  scanMsgpack(bytes, limits)
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new TidingsError('invalid_message', 'The frame is not MessagePack', { cause, details: { field: 'frame' } })
  }
}

/** Encodes a value; keys whose value is `undefined` are left out, as in JSON. */
export function encodeMsgpack(value: unknown): Uint8Array {
  // The library packs into a pool that it reuses; what goes to a queue or a socket must stay as it is.
  return Uint8Array.prototype.slice.call(packr.pack(value))
}
