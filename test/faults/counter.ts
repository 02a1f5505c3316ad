/** One of a crowd. */
import { connect, type Socket } from 'node:net'
import { requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { must } from './fault.ts'

/** A connection whose reader only counts bytes. */
export class Counter {
  readonly socket: Socket
  bytes = 0
  ended = false
  /** When it ended, by `performance.now`. */
  endedAt = 0

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.bytes += data.length
    })
    const end = () => {
      if (this.ended) return
      this.ended = true
      this.endedAt = performance.now()
    }
    socket.on('error', end)
    socket.on('close', end)
  }

  static async open(url: string, path: string): Promise<Counter> {
    const { hostname, port } = new URL(url)
    const counter = new Counter(connect({ host: hostname, port: Number(port) }))
    const plain = { upgrade: undefined, connection: undefined, accept: 'text/event-stream' }
    counter.socket.write(requestHead(path, path.includes('/sse') ? plain : {}))
    // The head of the answer and the welcome.
    await until(() => counter.bytes > 600 || counter.ended)
    must(!counter.ended, 'a reader was refused')
    return counter
  }

  stop(): void {
    this.socket.destroy()
  }
}
