/** Five devices of one user, each of which goes on in another way after a cut, and somebody who writes to that user. */
import { until } from '../support/until.ts'
import { holds, Ledger } from './accounting.ts'
import { Device } from './device.ts'
import { type Chance, type Figures, must, none, percentile } from './fault.ts'
import { Publisher } from './publisher.ts'
import type { FaultServer } from './server.ts'

export interface OwnDevicesOptions {
  readonly chance: Chance
  readonly server: Pick<FaultServer, 'token'>
  /** Where the n-th device connects to; asked for each connection. */
  readonly url: (n: number) => string
  readonly publisherUrl: () => string
}

/** How each goes on: with its cursor, or from what it has acknowledged. */
const DEVICES = [
  { name: 'phone' },
  { name: 'laptop', resumesBy: 'frame' as const },
  { name: 'tablet', takesOver: true },
  { name: 'watch', bringsCursor: false, acknowledges: true, query: { ack: 'explicit' } },
  { name: 'glasses', bringsCursor: false },
]
/** Milliseconds between two publishes, on average: one turn of a phone's radio. */
const PAUSE_MS = 4

/** What a server needs for them: nothing of the inbox is trimmed, and pings come often, as what a pong acknowledges must have arrived. */
export const FOR_OWN_DEVICES = {
  inbox: { max_messages: 100_000 },
  heartbeat: { interval_ms: 100, timeout_ms: 5000 },
}

export class OwnDevices implements AsyncDisposable {
  readonly devices: readonly Device[]
  readonly publisher: Publisher
  private readonly ledger: Ledger
  private readonly chance: Chance

  private constructor(devices: readonly Device[], publisher: Publisher, ledger: Ledger, chance: Chance) {
    this.devices = devices
    this.publisher = publisher
    this.ledger = ledger
    this.chance = chance
  }

  static async start({ chance, server, url, publisherUrl }: OwnDevicesOptions): Promise<OwnDevices> {
    const ledger = new Ledger()
    const devices = await Promise.all(
      DEVICES.map(
        async ({ name, ...how }, n) =>
          new Device({
            ...how,
            name,
            user: 'alice',
            url: () => url(n),
            token: await server.token({ user: 'alice', device: name }),
            // Away for a moment, or long enough for something to be stored for it.
            pauseMs: () => (chance.below(3) === 0 ? chance.below(400) : chance.below(20)),
          }),
      ),
    )
    const token = await server.token({ user: 'bob', device: 'p' })
    const publisher = new Publisher({ name: 'bob', url: publisherUrl, token, ledger })
    const own = new OwnDevices(devices, publisher, ledger, chance)
    for (const { app } of devices) app.expect('user:alice', 0)
    await Promise.all([publisher, ...devices].map((client) => client.start()))
    return own
  }

  static get count(): number {
    return DEVICES.length
  }

  /** Milliseconds that so many messages take. */
  static durationMs(messages: number): number {
    return messages * PAUSE_MS
  }

  async publish(messages: number): Promise<void> {
    for (let published = 0; published < messages; published++) {
      await until(() => this.publisher.hasRoom)
      this.publisher.publish('user:alice')
      await Bun.sleep(this.chance.below(PAUSE_MS * 2))
    }
  }

  /**
   * Waits until every device has everything.
   * @throws Error where the accounts do not agree, or something was said to be missing.
   */
  async settle(): Promise<void> {
    const { devices, ledger, publisher } = this
    await publisher.settled()
    const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
    await Promise.all(devices.map((device) => device.reaches(last)))
    holds(
      ledger,
      devices.map(({ app }) => app),
    )
    none(
      'sent out of order',
      devices.flatMap(({ breaches }) => breaches),
    )
    none(
      'something was said to be missing to',
      devices.filter(({ notRecovered, gapsTold }) => notRecovered + gapsTold > 0).map(({ app }) => app.name),
    )
    const failed = ledger.count('failed')
    must(failed === 0, `${failed} publishes failed`)
  }

  /** Messages that came again over the wire, to those who name their cursor in the address or to the others. */
  cameAgain(namesCursor: boolean): number {
    return this.devices
      .filter(({ options }) => ((options.bringsCursor ?? true) && options.resumesBy !== 'frame') === namesCursor)
      .reduce((sum, { app }) => sum + app.duplicates, 0)
  }

  figures(): Figures {
    const { devices, ledger, publisher } = this
    return {
      published: ledger.count('ok'),
      retried: publisher.retried,
      delivered: devices.reduce((sum, { app }) => sum + app.got.length, 0),
      returns: devices.reduce((sum, { connects }) => sum + connects, 0) - devices.length,
      sessions_kept: devices.reduce((sum, { sessionsKept }) => sum + sessionsKept, 0),
      resumed_p99_ms: percentile(
        devices.flatMap(({ resumeMs }) => resumeMs),
        99,
      ),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const device of this.devices) device.stop()
    this.publisher.stop()
  }
}
