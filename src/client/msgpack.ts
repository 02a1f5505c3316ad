/**
 * MessagePack for those who want it: `new TidingsClient({ codec: msgpackCodec, … })`. Apart from the rest of the client, so
 * that nobody loads it for nothing.
 */
import { decodeMsgpack, encodeMsgpack } from '../protocol/msgpack.ts'
import { type Codec, jsonCodec } from './codec.ts'

/** What the server sends is not limited here: it has its own limits. */
const ANY_SIZE = { maxDepth: 0, maxKeys: 0 }

export const msgpackCodec: Codec = {
  format: 'msgpack',
  encode: encodeMsgpack,
  decode: (data) => (typeof data === 'string' ? jsonCodec.decode(data) : decodeMsgpack(data, ANY_SIZE)),
}
