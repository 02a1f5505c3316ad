/** A frame on its way to many: encoded at most once for each encoding, however many receive it. */
import type { Encoded, Encoding } from '../protocol/encoding.ts'
import type { ServerFrame } from '../protocol/frames.ts'

export class Message {
  readonly frame: ServerFrame
  private readonly encoded: (Encoded | undefined)[] = []

  constructor(frame: ServerFrame) {
    this.frame = frame
  }

  encode(encoding: Encoding): Encoded {
    let data = this.encoded[encoding.index]
    if (data === undefined) {
      data = encoding.encode(this.frame)
      this.encoded[encoding.index] = data
    }
    return data
  }
}
