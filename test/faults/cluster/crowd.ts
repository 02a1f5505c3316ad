/** Publishers and subscribers over all instances, and their accounts. */
import { until } from '../../support/until.ts'
import { type Attempt, holds, Ledger } from '../accounting.ts'
import { Device } from '../device.ts'
import { type Chance, type Figures, must, none, percentile } from '../fault.ts'
import { Publisher } from '../publisher.ts'
import type { FaultCluster } from './cluster.ts'

export interface CrowdSize {
  readonly devices: number
  readonly publishers: number
  readonly rooms: number
  /** Messages a second, of all publishers together. */
  readonly perSecond: number
}

export interface CrowdOptions extends CrowdSize {
  readonly cluster: FaultCluster
  readonly chance: Chance
  /** Where everybody connects to, the n-th of them; asked for each connection. Default: each stays with one instance. */
  readonly url?: (n: number) => string
}

/** Rooms that a device is in. */
const ROOMS_EACH = 3
/** Messages a second of each publisher that insists. */
const INSISTED_PER_SECOND = 20
/** Devices that hear those who insist, at most: to thousands that would be most of all deliveries. */
const HEAR_INSISTED = 150
/** Devices that connect at the same time. */
const CONNECTING = 100

export class Crowd implements AsyncDisposable {
  readonly ledger = new Ledger()
  readonly devices: Device[] = []
  readonly publishers: Publisher[] = []
  /** They try again until their messages are stored: one at each instance, in a room of its own. */
  private readonly insistent: Publisher[] = []
  private readonly topics: string[] = []
  private readonly perSecond: number
  private readonly stopping = new AbortController()
  private readonly running: Promise<void>[] = []

  private constructor(perSecond: number) {
    this.perSecond = perSecond
  }

  /** Connects everybody. */
  static async gather(options: CrowdOptions): Promise<Crowd> {
    const { cluster, chance, devices, publishers, rooms, perSecond } = options
    const url = options.url ?? ((n) => cluster.at(n).server.url)
    const crowd = new Crowd(perSecond)
    const names = Array.from({ length: rooms }, (_, n) => `r${n}`)
    crowd.topics.push(...names.map((name) => `room:${name}`))
    const insisted = cluster.members.map((_, n) => `insisted${n}`)
    for (let n = 0; n < devices; n++) {
      const user = `u${n}`
      crowd.topics.push(`user:${user}`)
      const device = new Device({
        name: user,
        user,
        url: () => url(n),
        token: await cluster.token({ user, device: 'd' }),
        rooms: [
          ...new Set(Array.from({ length: ROOMS_EACH }, () => chance.pick(names))),
          ...(n < HEAR_INSISTED ? insisted : []),
        ],
        format: n % 4 === 3 ? 'msgpack' : 'json',
        resumesBy: n % 3 === 2 ? 'frame' : 'address',
        takesOver: n % 2 === 0,
        pauseMs: () => chance.below(50),
      })
      device.app.expect(`user:${user}`, 0)
      crowd.devices.push(device)
    }
    const publisher = async (name: string, n: number, insists: boolean) => {
      const token = await cluster.token({ user: name, device: 'd', roles: ['admin'] })
      return new Publisher({ name, url: () => url(n), token, ledger: crowd.ledger, insists })
    }
    for (let n = 0; n < publishers; n++) crowd.publishers.push(await publisher(`p${n}`, n, false))
    for (const [n, name] of insisted.entries()) crowd.insistent.push(await publisher(name, n, true))
    for (let n = 0; n < devices; n += CONNECTING) {
      await Promise.all(crowd.devices.slice(n, n + CONNECTING).map((device) => device.start()))
    }
    await Promise.all(crowd.allPublishers().map((publisher) => publisher.start()))
    return crowd
  }

  /** Begins to publish. */
  start(): void {
    const { insistent, publishers, perSecond, stopping, topics } = this
    const run = (publisher: Publisher, to: readonly string[], rate: number): void => {
      const running = publisher.run(to, rate, stopping.signal)
      // Where something else fails nobody waits for it.
      running.catch(() => {})
      this.running.push(running)
    }
    for (const publisher of publishers) run(publisher, topics, perSecond / publishers.length)
    // To rooms of their own: what they repeat would change places with what others publish.
    for (const [n, publisher] of insistent.entries()) run(publisher, [`room:insisted${n}`], INSISTED_PER_SECOND)
  }

  /** Resolves when so many more were stored. */
  async stored(more: number): Promise<void> {
    const enough = this.ledger.count('ok') + more
    await until(() => this.ledger.count('ok') >= enough)
  }

  /** Ends publishing, has something said last in every topic, and waits until everybody has got there. */
  async settle(): Promise<void> {
    this.stopping.abort()
    await Promise.all(this.running)
    const [publisher] = this.publishers as [Publisher]
    const insisted = this.insistent.map((_, n) => `room:insisted${n}`)
    const lastWords: Attempt[] = []
    for (const topic of [...this.topics, ...insisted]) {
      await until(() => publisher.hasRoom)
      lastWords.push(publisher.publish(topic))
    }
    await publisher.settled()
    must(
      lastWords.every(({ outcome }) => outcome === 'ok'),
      `something could not be stored at the end: ${JSON.stringify(publisher.errors.at(-1))}`,
    )
    const last = Math.max(...lastWords.map(({ cursor }) => cursor))
    await Promise.all(this.devices.map((device) => device.reaches(last)))
  }

  /** @throws Error where the accounts do not agree, or a refusal was none that the protocol knows. */
  check(): void {
    holds(
      this.ledger,
      this.devices.map(({ app }) => app),
    )
    none(
      'sent out of order',
      this.devices.flatMap(({ breaches }) => breaches),
    )
    const errors = this.allPublishers().flatMap((publisher) => publisher.errors)
    const odd = errors.filter(({ payload }) => !isForNow(payload)).map((error) => JSON.stringify(error))
    none('refused for good', odd)
    const refused = [...this.ledger.all()].filter(
      ({ topic, outcome }) => topic.startsWith('room:insisted') && outcome !== 'ok',
    )
    none(
      'not stored, however often it was tried',
      refused.map(({ key }) => key),
    )
  }

  /** @throws Error where somebody had to connect again. */
  stayed(): void {
    const gone = this.devices.filter(({ connects }) => connects > 1)
    none(
      'had to connect again',
      gone.map(({ app, closes }) => `${app.name}, closed with ${[...closes.keys()]}`),
    )
    const cut = this.allPublishers().filter(({ connects }) => connects > 1)
    must(cut.length === 0, `${cut.length} publishers had to connect again`)
  }

  /** @throws Error where somebody was told that something is missing. */
  missedNothing(): void {
    none(
      'told that something is missing',
      this.devices
        .filter(({ gapsTold, notRecovered }) => gapsTold + notRecovered > 0)
        .map(({ app, gapsTold, notRecovered }) => `${app.name}: ${gapsTold} gaps, ${notRecovered} not recovered`),
    )
  }

  figures(): Figures {
    const { devices, ledger } = this
    const resumeMs = devices.flatMap((device) => device.resumeMs)
    return {
      published: ledger.count('ok'),
      refused: ledger.count('failed'),
      tried_again: this.insistent.reduce((sum, { retried }) => sum + retried, 0),
      delivered: devices.reduce((sum, { app }) => sum + app.got.length, 0),
      again_on_the_wire: devices.reduce((sum, { app }) => sum + app.duplicates, 0),
      told_of_gaps: devices.reduce((sum, { gapsTold }) => sum + gapsTold, 0),
      resumed_p99_ms: percentile(resumeMs, 99),
      resumed_last_ms: percentile(resumeMs, 100),
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stopping.abort()
    for (const device of this.devices) device.stop()
    for (const publisher of this.allPublishers()) publisher.stop()
  }

  private allPublishers(): Publisher[] {
    return [...this.publishers, ...this.insistent]
  }
}

/** RT_009 with the time after which to try again: nothing else may become of a publish while Redis is ill. */
function isForNow(payload: unknown): boolean {
  const { code, reconnect, retry_after_ms } = payload as Record<string, unknown>
  return code === 'RT_009' && reconnect === true && Number(retry_after_ms) > 0
}
