import type { ConfigInput } from '../../src/config.ts'
import type { Closed, Frame, LogLine, OutgoingFrame, TestClient, Who } from '../../src/testing/index.ts'
import { startTestServer } from '../../src/testing/index.ts'
import { connect } from '../../src/testing/server.ts'
import type { ConnectOptions } from '../../src/testing/websocket.ts'
import { startBinary } from '../support/binary.ts'
import { connectWs } from '../support/ws-client.ts'
import app from './app.ts'

/** A running server, wherever it runs. */
export interface Host extends AsyncDisposable {
  readonly url: string
  token(who: Who): Promise<string>
  logged(event: string, fields?: Readonly<Record<string, unknown>>): Promise<LogLine>
  connect(options: ConnectOptions): Promise<TestClient>
}

/** What a contract suite runs over: a way to run the server, a transport, an encoding. */
export interface Driver {
  readonly name: string
  readonly transport: Transport
  readonly format: 'json' | 'msgpack'
  start(config: ConfigInput): Promise<Host>
}

export type Transport = 'websocket' | 'sse' | 'poll'

export interface Axes {
  /** Default: `websocket`. */
  readonly transport?: Transport
  readonly format: 'json' | 'msgpack'
  readonly envelope: 'payload' | 'data'
}

/** The server from its source in this process; the kit's own client. */
export function sourceDriver(axes: Axes): Driver {
  return {
    name: `source, kit client, ${axes.transport ?? 'websocket'}, ${axes.format}, ${axes.envelope}`,
    transport: axes.transport ?? 'websocket',
    format: axes.format,
    async start(config) {
      // A poll does not say goodbye: it is missed after a while, which must not be long here.
      const server = await startTestServer({ config: { ...config, poll: { grace_ms: 1000 } }, app })
      return { ...server, connect: async (options) => seen(await server.connect({ ...axes, ...options }), axes) }
    },
  }
}

/** The kit's own client against the compiled binary, for the transports that need no library. */
export function binaryDriver(axes: Axes & { readonly transport: Transport }): Driver {
  return {
    name: `binary, kit client, ${axes.transport}, ${axes.format}, ${axes.envelope}`,
    transport: axes.transport,
    format: axes.format,
    async start(config) {
      const host = await startBinary({
        config: { ...config, poll: { grace_ms: 1000 } },
        app: `${import.meta.dir}/app.ts`,
      })
      return {
        url: host.url,
        token: host.token,
        logged: host.logged,
        connect: async (options) =>
          seen(await connect(host.url, { ...axes, ...options }, await host.token(options)), axes),
        [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
      }
    },
  }
}

/** Independent clients, against the source or the compiled binary. */
export function independentDriver(place: 'source' | 'binary', axes: Axes): Driver {
  return {
    transport: 'websocket',
    name: `${place}, independent client, ${axes.format}, ${axes.envelope}`,
    format: axes.format,
    async start(config) {
      const host = await (place === 'source'
        ? startTestServer({ config, app })
        : startBinary({ config, app: `${import.meta.dir}/app.ts` }))
      return {
        url: host.url,
        token: host.token,
        logged: host.logged,
        connect: async (options) =>
          seen(await connectWs(host.url, { ...axes, ...options }, await host.token(options)), axes),
        [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
      }
    },
  }
}

/** With `?envelope=data` the key is `data` and nothing else changes: the suite sees `payload` either way. */
export function seen(client: TestClient, { envelope }: Axes): TestClient {
  return envelope === 'payload' ? client : new Renaming(client)
}

class Renaming implements TestClient {
  private readonly client: TestClient

  constructor(client: TestClient) {
    this.client = client
  }

  get welcome(): Frame {
    return renamed(this.client.welcome)
  }

  get closed(): Promise<Closed> {
    return this.client.closed
  }

  send(frame: OutgoingFrame): void {
    this.client.send(frame)
  }

  async request(frame: OutgoingFrame): Promise<Frame> {
    return renamed(await this.client.request(frame))
  }

  async next(type?: string): Promise<Frame> {
    return renamed(await this.client.next(type))
  }

  async received(): Promise<Frame[]> {
    return (await this.client.received()).map(renamed)
  }

  close(code?: number, reason?: string): Promise<Closed> {
    return this.client.close(code, reason)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close()
  }
}

function renamed({ data, ...frame }: Frame): Frame {
  if ('payload' in frame) throw new Error(`payload where data was asked for: ${JSON.stringify(frame)}`)
  return data === undefined ? frame : { ...frame, payload: data }
}
