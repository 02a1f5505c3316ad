/** A WebSocket. The token goes as a subprotocol: a browser cannot set headers here, and an address ends up in logs. */
import type { ServerFrame } from '../../protocol/frames.ts'
import type { Environment, WebSocketConstructor } from '../environment.ts'
import { ClientError } from '../error.ts'
import { closeError } from './closing.ts'
import { addressOf, checkSize, type Link, type LinkEvents, type OpenLink, type Target } from './transport.ts'

/** What a subprotocol may be made of: https://www.rfc-editor.org/rfc/rfc9110#name-tokens */
const SUBPROTOCOL = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

export const openWebSocket: OpenLink = (...context) => new WebSocketLink(...context)

class WebSocketLink implements Link {
  readonly name = 'websocket'
  readonly needsPing = true
  maxBytes: number | undefined
  connectionId: string | undefined
  readonly #socket: WebSocket
  readonly #target: Target
  readonly #events: LinkEvents
  #welcomed = false
  #over = false
  #lastError: ClientError | undefined

  constructor(environment: Environment, target: Target, events: LinkEvents) {
    this.#target = target
    this.#events = events
    this.#socket = openSocket(environment, target)
    this.#socket.binaryType = 'arraybuffer'
    this.#socket.onmessage = ({ data }) => this.#receive(data as string | ArrayBuffer)
    this.#socket.onclose = ({ code, reason }) => this.#end(code, reason)
  }

  send(frame: object): void {
    const data = this.#target.codec.encode(frame)
    checkSize(data, this.maxBytes)
    this.#socket.send(data as string | Uint8Array<ArrayBuffer>)
  }

  close(): void {
    this.#over = true
    this.#socket.close(1000)
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.#over) return
    this.#events.alive()
    let frame: ServerFrame
    try {
      frame = this.#target.codec.decode(typeof data === 'string' ? data : new Uint8Array(data)) as ServerFrame
    } catch (cause) {
      this.#events.bad(cause)
      return
    }
    if (frame.type === 'welcome') this.#welcomed = true
    else if (frame.type === 'error') this.#lastError = ClientError.read(frame.payload)
    this.#events.frame(frame)
  }

  #end(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    const error = closeError(code, reason, this.#lastError)
    // Whatever the server closes before it has welcomed anybody, it closes with a code of its own.
    const kind = this.#welcomed ? 'lost' : code >= 4000 || error === this.#lastError ? 'refused' : 'blocked'
    this.#events.ended({ kind, error, code })
  }
}

/** Whether WebSockets get through here at all: an answer from the server proves it, and a refusal is an answer. */
export function probeWebSocket(environment: Environment, url: string, answered: (works: boolean) => void): () => void {
  const query = { close_reason: '1' }
  const socket = openSocket(environment, { url, token: () => undefined, query, codec: NO_CODEC })
  let done = false
  const finish = (works: boolean): void => {
    if (done) return
    done = true
    socket.close()
    answered(works)
  }
  socket.onmessage = () => finish(true)
  socket.onclose = () => finish(false)
  return () => finish(false)
}

const NO_CODEC = { format: 'json' } as Target['codec']

function openSocket(environment: Environment, target: Target): WebSocket {
  const { url, query, codec } = target
  const token = target.token()
  const inProtocol = token !== undefined && SUBPROTOCOL.test(token)
  const protocols = [`tidings.v1.${codec.format}`, ...(inProtocol ? [`token.${token}`] : [])]
  const inQuery = inProtocol ? '' : (token ?? '')
  // A browser cannot read why a handshake was refused: the server accepts the socket and says it there.
  const address = addressOf(url, { ...query, close_reason: '1', token: inQuery })
  // Without one nobody comes here: the transport is left out.
  return new (environment.WebSocket as WebSocketConstructor)(address.replace(/^http/, 'ws'), protocols)
}
