/** Which transport to try: the best that is known to work, and now and then a better one again. */

export type TransportName = 'websocket' | 'sse' | 'poll'

export class Ladder {
  readonly #names: readonly TransportName[]
  #preferred = 0

  /** @param names from best to worst; at least one. */
  constructor(names: readonly TransportName[]) {
    this.#names = names
  }

  /** What to try now, in this order: the one that worked last, and what is below it. */
  order(): readonly TransportName[] {
    return this.#names.slice(this.#preferred)
  }

  /** This one works: the next attempt starts here. */
  worked(name: TransportName): void {
    this.#preferred = Math.max(0, this.#names.indexOf(name))
  }

  /** The best one, where that is better than the one that works. */
  above(): TransportName | undefined {
    return this.#preferred > 0 ? this.#names[0] : undefined
  }

  /** Nothing worked, or the network is another: start from the top again. */
  reset(): void {
    this.#preferred = 0
  }
}
