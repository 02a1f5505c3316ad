/** A client in a fake runtime. */
import { type ClientOptions, TidingsClient } from '../../src/client/index.ts'
import { FakeRuntime, settle, stateWords } from './fakes.ts'

export function setUp(options: ClientOptions = {}) {
  const runtime = new FakeRuntime()
  const states: string[] = []
  const errors: unknown[] = []
  const client = new TidingsClient({
    url: 'https://example.com/realtime',
    token: 'secret',
    environment: runtime.environment,
    onError: (error) => errors.push(error),
    ...options,
  })
  client.onState((change) => states.push(stateWords(change)))
  /** Takes the states so far. */
  const been = (): string[] => states.splice(0)
  /** Connects over a WebSocket and welcomes. */
  const open = async (welcome: object = {}): Promise<void> => {
    void client.connect()
    await settle()
    runtime.socket.welcome(welcome)
    await settle()
    been()
  }
  /** Breaks the connection and has the next one up to its welcome. */
  const reconnect = async (): Promise<void> => {
    runtime.socket.break()
    runtime.page.fire('online')
    await settle()
  }
  return { runtime, client, been, open, reconnect, errors }
}
