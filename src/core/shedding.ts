/** Sending a part of an instance's connections elsewhere, so that a new instance gets its share of them. */
import { TidingsError } from '../protocol/errors.ts'
import { type DrainDeps, shed } from './drain.ts'
import { type Errands, NobodyThere } from './errands.ts'
import type { Peers } from './peers.ts'
import type { Directory } from './ports/directory.ts'

export interface SheddingDeps extends DrainDeps {
  readonly peers: Peers
  readonly errands: Errands
  readonly directory: Pick<Directory, 'instances'>
  /** Milliseconds over which the closes are spread. */
  readonly windowMs: number
}

/** The kind of errand that sheds connections. */
const SHED = 'shed'
/** Milliseconds beyond the window in which the last close is done. */
const SPARE_MS = 5000

export class Shedding {
  private readonly deps: SheddingDeps

  constructor(deps: SheddingDeps) {
    this.deps = deps
    deps.errands.does(SHED, async ({ fraction }, signal) =>
      typeof fraction === 'number' ? this.here(fraction, signal) : 0,
    )
  }

  /** Milliseconds that it takes at most. */
  get longestMs(): number {
    return this.deps.windowMs + SPARE_MS
  }

  /**
   * Closes a part of an instance's connections with 1012; it keeps serving the others. Resolves when that was done.
   * @param instance absent: this one.
   * @param fraction of its connections, up to 1.
   * @returns how many were closed.
   * @throws TidingsError `not_found` where there is no such instance; `unavailable`: it does not answer, or cannot be asked.
   */
  async at(instance: string | undefined, fraction: number): Promise<number> {
    const { directory, errands, peers } = this.deps
    if (instance === undefined || instance === peers.here) return this.here(fraction, new AbortController().signal)
    try {
      return Number(await errands.send(instance, { kind: SHED, body: { fraction }, timeoutMs: this.longestMs }))
    } catch (error) {
      if (!(error instanceof NobodyThere)) throw error
      const isThere = (await directory.instances()).includes(instance)
      throw isThere
        ? new TidingsError('unavailable', 'The instance does not answer')
        : new TidingsError('not_found', 'There is no such instance')
    }
  }

  private here(fraction: number, signal: AbortSignal): Promise<number> {
    return shed(this.deps, fraction, this.deps.windowMs, signal)
  }
}
