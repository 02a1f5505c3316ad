/** Bodies of requests: JSON under the same limits as a frame, counted before it is parsed. */
import type { Config } from '../config.ts'
import { frameLimits } from '../core/limits.ts'
import { TidingsError } from '../protocol/errors.ts'
import type { FrameLimits } from '../protocol/frame-limits.ts'
import { decodeJson, encodeJson } from '../protocol/json.ts'

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
    const { maxDepth, maxKeys } = this.limits
    return decodeJson(text, { maxDepth: maxDepth + 1, maxKeys: maxKeys * MAX_BODY_FRAMES })
  }

  /** @throws TidingsError where one item of a list is more than a body of its own may be. */
  check(item: unknown): void {
    const text = encodeJson(item)
    if (Buffer.byteLength(text) > this.maxBytes) throw tooLarge(this.maxBytes)
    decodeJson(text, this.limits)
  }
}

async function textOf(request: Request, maxBytes: number): Promise<string> {
  if (Number(request.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Uint8Array[] = []
  let bytes = 0
  // A body without a length is counted while it comes: what is too large must not be held first.
  for await (const chunk of request.body ?? []) {
    bytes += chunk.byteLength
    if (bytes > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new TidingsError('invalid_message', 'The body is not UTF-8', { cause })
  }
}

function tooLarge(maxBytes: number): TidingsError {
  const message = `The message is larger than ${maxBytes} bytes`
  return new TidingsError('payload_too_large', message, { details: { max_bytes: maxBytes } })
}
