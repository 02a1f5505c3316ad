/** A worker's side of the channel. */
import type { Config } from '../../config.ts'
import { PARENT_GONE, type Parent, type Wishes } from '../parent.ts'
import type { FromWorker, ToWorker } from './messages.ts'

export class SupervisorLink implements Parent {
  /** What to serve; `undefined` where the supervisor is gone before it has said so. */
  readonly assigned: Promise<Config | undefined>
  readonly #assign: (config: Config | undefined) => void
  #wishes: Wishes | undefined
  #stopReason: string | undefined
  #auth: Config['auth'] | undefined
  #allReady = false

  constructor() {
    const { promise, resolve } = Promise.withResolvers<Config | undefined>()
    this.assigned = promise
    this.#assign = resolve
    // Only the supervisor has the other end.
    process.on('message', (message) => this.#heard(message as ToWorker))
    process.on('disconnect', () => this.#stop(PARENT_GONE))
  }

  /** The newest keys. */
  get auth(): Config['auth'] | undefined {
    return this.#auth
  }

  /** Whether every worker is there and ready, as far as the supervisor has said. */
  ready(): boolean {
    return this.#allReady
  }

  listen(wishes: Wishes): void {
    this.#wishes = wishes
    if (this.#stopReason !== undefined) wishes.stop(this.#stopReason)
  }

  tell(message: FromWorker): void {
    // The supervisor may have been killed; the wish to stop is on its way then.
    if (process.connected) process.send?.(message)
  }

  #heard(message: ToWorker): void {
    switch (message.type) {
      case 'serve':
        this.#auth = message.config.auth
        this.#assign(message.config)
        break
      case 'keys':
        this.#auth = message.auth
        this.#wishes?.reload()
        break
      case 'all_ready':
        this.#allReady = message.ready
        break
      case 'stop':
        this.#stop(message.reason)
    }
  }

  #stop(reason: string): void {
    this.#assign(undefined)
    this.#stopReason ??= reason
    this.#wishes?.stop(reason)
  }
}
