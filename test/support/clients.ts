import { type ClientOptions, TidingsClient } from 'tidings/client'
import type { Who } from '../../src/testing/index.ts'

/** Clients of a server that come back at once, to be closed together. */
export function clientsOf(url: string, token: (who: Who) => Promise<string>) {
  const made: TidingsClient[] = []
  return {
    client(who: Who, options: ClientOptions = {}): TidingsClient {
      const client = new TidingsClient({
        url: `${url}/realtime`,
        token: () => token(who),
        // How it comes back over lesser transports is tried elsewhere.
        transports: ['websocket'],
        environment: { random: () => 0 },
        ...options,
      })
      made.push(client)
      return client
    },
    closeAll(): void {
      for (const client of made) client.close()
    },
  }
}

/** Everything of a type that listeners hear from now on, in order. */
export function collect(client: TidingsClient, type: string): unknown[] {
  const heard: unknown[] = []
  client.on(type, (payload) => void heard.push(payload))
  return heard
}

export function numbers(count: number, from = 0): number[] {
  return Array.from({ length: count }, (_, at) => at + from)
}
