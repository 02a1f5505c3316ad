/** Keeps a number of workers running, and makes one server of them. */
import { backoff } from '../../client/backoff.ts'
import type { Config } from '../../config.ts'
import type { Log } from '../../core/log.ts'
import { ownCommand } from '../executable.ts'
import type { FromWorker, ToWorker } from './messages.ts'

/** Milliseconds after which a worker counts as one that runs: when it ends later, its restart is the first again. */
const STEADY_MS = 60_000
/** Milliseconds between two looks at which workers have said something. */
const LOOK_MS = 1000
/**
 * Looks at which a worker that listens has said nothing: then it is not ready, and then it is ended. By that time other
 * instances have taken its connections for lost (15 s). Looks and not a time, so that a machine that slept ends nobody.
 */
const SILENT_LOOKS = 5
const HUNG_LOOKS = 20
/** Milliseconds beyond `drain.deadline_ms` that workers get to leave by themselves. */
const LEAVE_MS = 5000

/** A worker has ended before it listened, in a start of all. What it said about it stands above. */
export class WorkerStartError extends Error {
  override readonly name = 'WorkerStartError'
}

export interface SupervisorOptions {
  readonly count: number
  /** The arguments behind `serve`, from which workers take what is not in the configuration: handlers, the mode. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
  readonly config: Config
  readonly log: Log
}

/** One of the numbered places, whose process may be a new one. */
class Place {
  readonly number: number
  /** Resolves with the URL when its first process listens. */
  readonly started = Promise.withResolvers<string>()
  process: Bun.Subprocess | undefined
  /** When its process was started, on the monotonic clock. */
  since = 0
  /** Whether a process of it has listened, ever. */
  known = false
  /** Whether its process listens. */
  listens = false
  ready = false
  /** Ends in a row, each soon after the start. */
  failures = 0
  restarts = 0
  /** Looks since it has said something. */
  silence = 0
  timer: Timer | undefined

  constructor(number: number) {
    this.number = number
    // It may fail while nobody waits for it yet.
    this.started.promise.catch(() => {})
  }
}

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #places: readonly Place[]
  #config: Config
  #allReady = false
  #stopping = false
  /** Whether a worker that was told to stop has ended in another way. */
  #unclean = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#config = options.config
    this.#places = Array.from({ length: options.count }, (_, i) => new Place(i + 1))
    // However this process leaves, as long as it can do anything about it: workers that drain are not waited for.
    process.on('exit', () => this.#kill())
    setInterval(() => this.#look(), LOOK_MS).unref()
  }

  /** Resolves with the URL when all listen. Rejects where one cannot; none is left then. */
  async start(): Promise<string> {
    const [first, ...others] = this.#places
    try {
      let url = ''
      // The first one alone: what keeps it from starting keeps the others, too, and would be said by each.
      for (const places of [first ? [first] : [], others]) {
        for (const place of places) this.#spawn(place)
        const urls = await Promise.all(places.map(({ started }) => started.promise))
        url ||= urls[0] ?? ''
      }
      return url
    } catch (error) {
      await this.stop('start_failed').catch(() => {})
      throw error
    }
  }

  /** Hands keys to all workers, and to those that come later. */
  useKeys(auth: Config['auth']): void {
    this.#config = { ...this.#config, auth }
    this.#tellAll({ type: 'keys', auth })
  }

  /** Drains all workers; resolves when the last is gone, rejects where one did not leave by itself. */
  async stop(reason: string): Promise<void> {
    this.#stopping = true
    for (const { timer } of this.#places) clearTimeout(timer)
    // Not by a signal: a service manager sends its own to every process, and the second one means "at once".
    this.#tellAll({ type: 'stop', reason })
    const patience = setTimeout(() => {
      this.#options.log.error('workers_killed', { reason: 'they did not leave within drain.deadline_ms' })
      this.#kill()
    }, this.#config.drain.deadline_ms + LEAVE_MS)
    await Promise.all(this.#places.map((place) => place.process?.exited))
    clearTimeout(patience)
    if (this.#unclean) throw new Error('a worker has not stopped cleanly')
  }

  #spawn(place: Place): void {
    const { args, env } = this.#options
    place.since = performance.now()
    const child = Bun.spawn([...ownCommand(), 'serve', ...args, `--worker=${place.number}`], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...env },
      // Its end of the channel also tells the worker when this process is gone, however that ended.
      ipc: (message) => this.#heard(place, message as FromWorker),
      onExit: ({ exitCode, signalCode }) => this.#ended(place, exitCode, signalCode),
    })
    place.process = child
    child.send({ type: 'serve', config: this.#config } satisfies ToWorker)
  }

  /** Ends workers that hang: their clients find another, and they are started again. */
  #look(): void {
    for (const place of this.#places) {
      const { number: worker, process: child } = place
      // One that starts may take its time: its handlers do. One that leaves has a time limit of its own.
      if (child === undefined || !place.listens || this.#stopping) continue
      place.silence++
      if (place.silence === SILENT_LOOKS) {
        place.ready = false
        this.#compare()
      } else if (place.silence === HUNG_LOOKS) {
        this.#options.log.error('worker_hung', { worker, pid: child.pid, silent_ms: HUNG_LOOKS * LOOK_MS })
        child.kill('SIGKILL')
      }
    }
  }

  #heard(place: Place, message: FromWorker): void {
    place.silence = 0
    if (message.type === 'ready') {
      place.ready = message.ready
      this.#compare()
    } else {
      const { number: worker, restarts } = place
      this.#options.log.info('worker_started', { worker, pid: place.process?.pid, restarts })
      place.known = true
      place.listens = true
      place.started.resolve(message.url)
    }
  }

  #ended(place: Place, code: number | null, signal: NodeJS.Signals | number | null): void {
    const pid = place.process?.pid
    place.process = undefined
    place.listens = false
    place.ready = false
    this.#compare()
    if (this.#stopping) {
      if (place.known && code !== 0) this.#unclean = true
    } else if (place.known) this.#restartLater(place, { pid, ...(signal === null ? { exit_code: code } : { signal }) })
    else {
      const how = signal === null ? `exit code ${code}` : signal
      place.started.reject(new WorkerStartError(`worker ${place.number} has not started (${how})`))
    }
  }

  #restartLater(place: Place, end: Record<string, unknown>): void {
    place.failures = performance.now() - place.since < STEADY_MS ? place.failures + 1 : 1
    place.restarts++
    const wait = backoff(place.failures, Math.random)
    const { number: worker, restarts } = place
    this.#options.log.error('worker_ended', { worker, ...end, restarts, restart_in_ms: wait })
    place.timer = setTimeout(() => {
      try {
        this.#spawn(place)
      } catch (error) {
        // The binary may be just being replaced, or the system out of processes.
        this.#restartLater(place, { error })
      }
    }, wait)
  }

  /** Tells all workers where it has changed whether they all are ready. */
  #compare(): void {
    const ready = this.#places.every((place) => place.ready)
    if (ready === this.#allReady) return
    this.#allReady = ready
    this.#tellAll({ type: 'all_ready', ready })
  }

  #tellAll(message: ToWorker): void {
    for (const { process: child } of this.#places) child?.send(message)
  }

  #kill(): void {
    for (const { process: child } of this.#places) child?.kill('SIGKILL')
  }
}
