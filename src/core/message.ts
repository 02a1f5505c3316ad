/** A message on its way to many: encoded at most once for each encoding, however many receive it. */

import { bytesFromJson, mayHoldBytes } from '../protocol/bytes.ts'
import { formatCursor } from '../protocol/cursor.ts'
import { type Encoded, type Encoding, toEvent } from '../protocol/encoding.ts'
import type { ServerFrame } from '../protocol/frames.ts'

export class Message {
  /** Where it stands in the log; absent: it is stored nowhere. */
  readonly cursor: number | undefined
  private readonly encoded: (Encoded | undefined)[] = []
  private readonly source: ServerFrame | StoredFrame

  constructor(source: ServerFrame | StoredFrame) {
    this.source = source
    this.cursor = source instanceof StoredFrame ? source.cursor : undefined
  }

  /** A message of the log: its body is the JSON of its frame without the cursor. */
  static stored(body: string, cursor: number, history = false): Message {
    return new Message(new StoredFrame(body, cursor, history))
  }

  /** The frame as an object, parsed where it came as text. */
  get frame(): ServerFrame {
    return this.source instanceof StoredFrame ? this.source.frame : this.source
  }

  encode(encoding: Encoding): Encoded {
    let data = this.encoded[encoding.index]
    if (data === undefined) {
      data = this.source instanceof StoredFrame ? this.source.encode(encoding) : encoding.encode(this.source)
      this.encoded[encoding.index] = data
    }
    return data
  }
}

/** A frame that came from the log as JSON. The commonest encoding is made of its text without parsing it. */
class StoredFrame {
  readonly cursor: number
  private readonly body: string
  private readonly history: boolean
  private parsed: ServerFrame | undefined

  constructor(body: string, cursor: number, history: boolean) {
    this.body = body
    this.cursor = cursor
    this.history = history
  }

  encode(encoding: Encoding): Encoded {
    if (encoding.format !== 'json' || encoding.envelope !== 'payload') return encoding.encode(this.frame)
    const cursor = formatCursor(this.cursor)
    const history = this.history ? '"history":true,' : ''
    const json = `{"cursor":"${cursor}",${history}${this.body.slice(1)}`
    return encoding.framing === 'sse' ? toEvent(json, this.history ? undefined : cursor) : json
  }

  get frame(): ServerFrame {
    this.parsed ??= this.parse()
    return this.parsed
  }

  private parse(): ServerFrame {
    const value: unknown = JSON.parse(this.body)
    const frame = (mayHoldBytes(this.body) ? bytesFromJson(value, (marked) => marked) : value) as ServerFrame
    return { ...frame, cursor: formatCursor(this.cursor), ...(this.history && { history: true }) }
  }
}
