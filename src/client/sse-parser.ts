/**
 * Reads an event stream: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream.
 * Text comes in pieces that may end anywhere, between CR and LF too. An event that has only an `id` is an event here:
 * the server's heartbeat is one.
 */

export interface StreamEvent {
  readonly id?: string
  readonly data?: string
}

/** Characters of one event that are kept at most: a stream that never ends a line must not fill the memory. */
const MAX_EVENT_LENGTH = 16 * 1024 * 1024

export class SseParser {
  readonly #onEvent: (event: StreamEvent) => void
  /** The beginning of a line whose end has not come. */
  #line = ''
  #data: string[] = []
  #id: string | undefined
  #length = 0
  /** The last piece ended with CR: an LF that follows belongs to it. */
  #afterCr = false

  constructor(onEvent: (event: StreamEvent) => void) {
    this.#onEvent = onEvent
  }

  /**
   * Takes decoded text without its byte order mark (`TextDecoder` removes it) and calls back for every event that it ends.
   * @throws RangeError where an event is longer than 16 million characters.
   */
  push(text: string): void {
    let start = this.#afterCr && text.startsWith('\n') ? 1 : 0
    if (text !== '') this.#afterCr = text.endsWith('\r')
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at)
      if (code !== LF && code !== CR) continue
      this.#endLine(this.#line + text.slice(start, at))
      this.#line = ''
      if (code === CR && text.charCodeAt(at + 1) === LF) at++
      start = at + 1
    }
    this.#line += text.slice(start)
    if (this.#length + this.#line.length > MAX_EVENT_LENGTH) {
      throw new RangeError('The event is too long')
    }
  }

  #endLine(line: string): void {
    if (line === '') {
      this.#endEvent()
      return
    }
    this.#length += line.length
    const colon = line.indexOf(':')
    const field = colon === -1 ? line : line.slice(0, colon)
    const start = colon === -1 ? line.length : line.charCodeAt(colon + 1) === SPACE ? colon + 2 : colon + 1
    const value = line.slice(start)
    if (field === 'data') this.#data.push(value)
    else if (field === 'id' && !value.includes('\0')) this.#id = value
  }

  #endEvent(): void {
    const id = this.#id
    const data = this.#data
    this.#id = undefined
    this.#data = []
    this.#length = 0
    if (id === undefined && data.length === 0) return
    this.#onEvent({ ...(id !== undefined && { id }), ...(data.length > 0 && { data: data.join('\n') }) })
  }
}

const LF = 10
const CR = 13
const SPACE = 32
