/** Bodies of requests: JSON under the same limits as a frame, counted before it is parsed. */
import type { Config } from '../config.ts'
import { frameLimits } from '../core/limits.ts'
import type { Format } from '../protocol/encoding.ts'
import { TidingsError } from '../protocol/errors.ts'
import type { FrameLimits } from '../protocol/frame-limits.ts'
import { decodeJson, encodeJson } from '../protocol/json.ts'
import { decodeMsgpack } from '../protocol/msgpack.ts'
import type { PostedFrame } from '../transports/send.ts'

/** Frames that one body may hold: a batch of them is a list. */
export const MAX_BODY_FRAMES = 16

/** Reads the bodies of one configuration's size. */
export class Bodies {
  private readonly maxBytes: number
  private readonly limits: FrameLimits

  constructor(config: Config) {
    this.maxBytes = config.limits.max_message_bytes
    this.limits = frameLimits(config)
  }

  /**
   * A body that is one message.
   * @throws TidingsError `payload_too_large`, `invalid_message`.
   */
  async one(request: Request): Promise<unknown> {
    return decodeJson(await textOf(request, this.maxBytes), this.limits)
  }

  /**
   * A body that is a list of messages. Each is held to the limits of one by {@link check}, so that one too many does not
   * fail the others.
   * @throws TidingsError `payload_too_large`, `invalid_message`.
   */
  async list(request: Request): Promise<unknown> {
    const text = await textOf(request, this.maxBytes * MAX_BODY_FRAMES)
    return decodeJson(text, { maxDepth: 0, maxKeys: this.limits.maxKeys * MAX_BODY_FRAMES })
  }

  /**
   * A body that is one frame or a list of frames, in JSON or MessagePack. One frame too many of a list fails alone.
   * @throws TidingsError `payload_too_large`, `invalid_message`.
   */
  async frames(request: Request): Promise<PostedBody> {
    const bytes = await bytesOf(request, this.maxBytes * MAX_BODY_FRAMES)
    const { maxDepth, maxKeys } = this.limits
    // Looser than for one, so that one that is too deep or too wide is found out alone.
    const limits = { maxDepth: maxDepth * 2 + 1, maxKeys: maxKeys * MAX_BODY_FRAMES }
    const format = isMsgpack(request) ? 'msgpack' : 'json'
    const value = format === 'msgpack' ? decodeMsgpack(bytes, limits) : decodeJson(toText(bytes), limits)
    if (!Array.isArray(value)) {
      this.check(value)
      return { format, list: false, frames: [{ value, bytes: bytes.length }] }
    }
    if (value.length > MAX_LISTED_FRAMES) {
      const details = { max_frames: MAX_LISTED_FRAMES }
      throw new TidingsError('payload_too_large', `A list has at most ${MAX_LISTED_FRAMES} frames`, { details })
    }
    return { format, list: true, frames: value.map((item) => this.posted(item)) }
  }

  /**
   * @returns the bytes of an item of a list.
   * @throws TidingsError where it is more than a body of its own may be.
   */
  check(item: unknown): number {
    const text = encodeJson(item)
    const bytes = Buffer.byteLength(text)
    if (bytes > this.maxBytes) throw tooLarge(this.maxBytes)
    decodeJson(text, this.limits)
    return bytes
  }

  private posted(value: unknown): PostedFrame {
    try {
      return { value, bytes: this.check(value) }
    } catch (error) {
      return { value, bytes: 0, problem: TidingsError.from(error) }
    }
  }
}

/** Frames of one list, so that nobody keeps the server busy with a million empty ones. */
const MAX_LISTED_FRAMES = 1000

/** A body of frames, decoded. */
export interface PostedBody {
  /** How it came, and how it is answered. */
  readonly format: Format
  /** Whether it was a list, and is answered with one. */
  readonly list: boolean
  readonly frames: readonly PostedFrame[]
}

const MSGPACK_TYPES: ReadonlySet<string> = new Set([
  'application/msgpack',
  'application/vnd.msgpack',
  'application/x-msgpack',
])

function isMsgpack({ headers }: Request): boolean {
  return MSGPACK_TYPES.has((headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '')
}

async function textOf(request: Request, maxBytes: number): Promise<string> {
  return toText(await bytesOf(request, maxBytes))
}

async function bytesOf(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Uint8Array[] = []
  let bytes = 0
  // A body without a length is counted while it comes: what is too large must not be held first.
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function toText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new TidingsError('invalid_message', 'The body is not UTF-8', { cause })
  }
}

function tooLarge(maxBytes: number): TidingsError {
  const message = `The message is larger than ${maxBytes} bytes`
  return new TidingsError('payload_too_large', message, { details: { max_bytes: maxBytes } })
}
