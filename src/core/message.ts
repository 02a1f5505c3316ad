/** A message on its way to many: encoded at most once for each encoding, however many receive it. */

import { bytesFromJson, mayHoldBytes } from '../protocol/bytes.ts'
import { formatCursor } from '../protocol/cursor.ts'
import { type Encoded, type Encoding, encodingFor, toEvent } from '../protocol/encoding.ts'
import type { ServerFrame } from '../protocol/frames.ts'

export class Message {
  /** Where it stands in the log; absent: it is stored nowhere. */
  readonly cursor: number | undefined
  private readonly encoded: (Encoded | undefined)[] = []
  private readonly source: ServerFrame | TextFrame

  constructor(source: ServerFrame | TextFrame) {
    this.source = source
    this.cursor = source instanceof TextFrame ? source.cursor : undefined
  }

  /** A message of the log: its body is the JSON of its frame without the cursor. */
  static stored(body: string, cursor: number, history = false): Message {
    return new Message(new TextFrame(body, cursor, history))
  }

  /**
   * A message that another instance has published and that is stored nowhere: its body is the JSON of its frame.
   * @throws Error where it is not: anybody who can publish to Redis may have written it.
   */
  static relayed(body: string): Message {
    const message = new Message(new TextFrame(body, undefined, false))
    if (typeof message.frame?.type !== 'string') throw new Error('a relayed message is no frame')
    return message
  }

  /** The frame as an object, parsed where it came as text. */
  get frame(): ServerFrame {
    return this.source instanceof TextFrame ? this.source.frame : this.source
  }

  /** The frame as JSON without its cursor. */
  get json(): string {
    if (this.source instanceof TextFrame) return this.source.body
    return this.encode(encodingFor('json', 'payload')) as string
  }

  encode(encoding: Encoding): Encoded {
    let data = this.encoded[encoding.index]
    if (data === undefined) {
      data = this.source instanceof TextFrame ? this.source.encode(encoding) : encoding.encode(this.source)
      this.encoded[encoding.index] = data
    }
    return data
  }
}

/** A frame that came as JSON. The commonest encoding is made of its text without parsing it. */
class TextFrame {
  readonly cursor: number | undefined
  readonly body: string
  private readonly history: boolean
  private parsed: ServerFrame | undefined

  constructor(body: string, cursor: number | undefined, history: boolean) {
    this.body = body
    this.cursor = cursor
    this.history = history
  }

  encode(encoding: Encoding): Encoded {
    if (encoding.format !== 'json' || encoding.envelope !== 'payload') return encoding.encode(this.frame)
    const cursor = this.cursor === undefined ? undefined : formatCursor(this.cursor)
    const head = `${cursor === undefined ? '' : `"cursor":"${cursor}",`}${this.history ? '"history":true,' : ''}`
    const json = head === '' ? this.body : `{${head}${this.body.slice(1)}`
    return encoding.framing === 'sse' ? toEvent(json, this.history ? undefined : cursor) : json
  }

  get frame(): ServerFrame {
    this.parsed ??= this.parse()
    return this.parsed
  }

  private parse(): ServerFrame {
    const value: unknown = JSON.parse(this.body)
    const frame = (mayHoldBytes(this.body) ? bytesFromJson(value, (marked) => marked) : value) as ServerFrame
    return {
      ...frame,
      ...(this.cursor !== undefined && { cursor: formatCursor(this.cursor) }),
      ...(this.history && { history: true }),
    }
  }
}
