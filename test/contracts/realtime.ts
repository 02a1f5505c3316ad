import { afterAll, beforeAll, describe } from 'bun:test'
import type { ConfigInput } from '../../src/config.ts'
import type { TestClient } from '../../src/testing/index.ts'
import type { ConnectOptions } from '../../src/testing/websocket.ts'
import { ADMIN_KEY } from '../http/api.ts'
import type { Driver, Host } from './driver.ts'
import { connectionTests } from './realtime/connections.ts'
import { expiryTests } from './realtime/expiry.ts'
import { handlerTests } from './realtime/handlers.ts'
import { messageTests } from './realtime/messages.ts'
import { presenceTests } from './realtime/presence.ts'
import { refusedFrameTests } from './realtime/refused-frames.ts'
import { revocationTests } from './realtime/revocation.ts'
import { roomTests } from './realtime/rooms.ts'
import { stateTests } from './realtime/state.ts'

/** Where the tests of a suite run: one server, shared by all. */
export interface Place {
  readonly driver: Driver
  host(): Host
  connect(options: ConnectOptions): Promise<TestClient>
}

/** What the suite's servers are set to. */
export const CONTRACT_CONFIG = {
  admin: { keys: [ADMIN_KEY] },
  limits: { per_user: 0, max_rooms: 5, messages_per_second: 0, bytes_per_second: 0 },
  // What is kept for those who are away has a suite of its own.
  inbox: { max_messages: 0 },
  handlers: { timeout_ms: 1000 },
  presence: { max_members: 4 },
  rooms: [
    { pattern: 'protocol:*', exclusive: true },
    { pattern: 'closed:*', join: 'none' },
    { pattern: 'claimed:*', join: 'claim' },
    { pattern: 'staff:*', join: 'role:staff', publish: 'role:speaker', state: 'role:speaker' },
    { pattern: 'open:*', publish: 'any' },
    { pattern: 'quiet:*', presence: 'off' },
    { pattern: 'count:*', presence: 'count' },
  ],
} satisfies ConfigInput

/** Everything that holds for a connected client, on every transport and in every encoding. */
export function realtimeContract(driver: Driver): void {
  describe(driver.name, () => {
    let host: Host | undefined
    beforeAll(async () => {
      host = await driver.start(CONTRACT_CONFIG)
    })
    afterAll(async () => {
      await host?.[Symbol.asyncDispose]()
    })
    const running = (): Host => {
      if (host === undefined) throw new Error('the server has not started')
      return host
    }
    const place: Place = { driver, host: running, connect: (options) => running().connect(options) }
    connectionTests(place)
    expiryTests(place)
    revocationTests(place)
    messageTests(place)
    refusedFrameTests(place)
    roomTests(place)
    presenceTests(place)
    stateTests(place)
    handlerTests(place)
  })
}
