/** The bytes that Tidings really sends, caught once per run, for the baseline to send the same. */

import { MESSAGE_TYPE } from './frames.ts'
import { signToken } from './tokens.ts'

export interface Templates {
  /** A message as another member of the room gets it. */
  message: string
  /** Its sender's acknowledgement. */
  ack: string
  pong: string
  welcome: string
}

/** The value of `payload` in everything that is sent: 128 bytes as JSON, the quotes included. */
export const PAYLOAD = 'x'.repeat(126)

/** As long as the rooms of the cases, so that their frames are as long as these. */
const ROOM = 'bench'
/** Enough that one of them has a timestamp with all three decimals, the longest and most frequent form. */
const TRIES = 8
const PATIENCE_MS = 10_000

/** Catches one frame of each kind from a running Tidings. */
export async function catchTemplates(port: number, secret: string): Promise<Templates> {
  const [listener, sender] = await Promise.all([
    Catcher.open(port, signToken(secret, { user_id: 'u00000', device_id: 'd-u00000' })),
    Catcher.open(port, signToken(secret, { user_id: 'u00001', device_id: 'd-u00001' })),
  ])
  try {
    const welcome = await sender.next('welcome')
    const found: Templates[] = []
    for (let i = 0; i < TRIES; i++) {
      sender.send(publishFrame(ROOM, i))
      const [ack, message] = await Promise.all([sender.next('ack'), listener.next(MESSAGE_TYPE)])
      sender.send(pingFrame())
      found.push({ message, ack, pong: await sender.next('pong'), welcome })
    }
    const longest = (kind: keyof Templates): string =>
      found.map((each) => each[kind]).reduce((a, b) => (b.length > a.length ? b : a))
    return { message: longest('message'), ack: longest('ack'), pong: longest('pong'), welcome }
  } finally {
    listener.close()
    sender.close()
  }
}

/** A message to a room; ids are of one length, so that the frames are too. */
export function publishFrame(room: string, id: number): string {
  return JSON.stringify({ type: MESSAGE_TYPE, id: frameId(id), to: { room }, payload: PAYLOAD })
}

export function pingFrame(): string {
  return JSON.stringify({ type: 'ping', payload: PAYLOAD })
}

export function frameId(n: number): string {
  return String(n).padStart(8, '0')
}

/** A client that keeps what it gets until it is asked for. */
class Catcher {
  readonly #socket: WebSocket
  readonly #frames: string[] = []
  #look: () => void = () => {}

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.onmessage = ({ data }) => {
      this.#frames.push(String(data))
      this.#look()
    }
  }

  static async open(port: number, token: string): Promise<Catcher> {
    const url = `ws://127.0.0.1:${port}/realtime?rooms=${ROOM}`
    const socket = new WebSocket(url, ['tidings.v1.json', `token.${token}`])
    const catcher = new Catcher(socket)
    await new Promise<void>((resolve, reject) => {
      socket.onopen = () => resolve()
      socket.onclose = (event) => reject(new Error(`Tidings refused a connection: ${event.code} ${event.reason}`))
    })
    return catcher
  }

  send(text: string): void {
    this.#socket.send(text)
  }

  /** The next frame of this type; others that came before it are dropped. */
  async next(type: string): Promise<string> {
    const opening = `{"type":"${type}"`
    const deadline = AbortSignal.timeout(PATIENCE_MS)
    for (;;) {
      const frame = this.#frames.shift()
      if (frame?.startsWith(opening)) return frame
      if (frame?.startsWith('{"type":"error"')) throw new Error(`Tidings answered ${frame}`)
      if (frame !== undefined) continue
      await new Promise<void>((resolve, reject) => {
        this.#look = resolve
        deadline.onabort = () => reject(new Error(`no frame came that begins with ${opening}`))
      })
    }
  }

  close(): void {
    this.#socket.close()
  }
}
