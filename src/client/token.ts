/** The credential in use, and where a fresh one comes from. */
import { ClientError } from './error.ts'

/** Why a token is asked for: the first one, one that will expire, or one in place of one that was refused. */
export type TokenReason = 'connect' | 'expiring' | 'refused'

/** A token that never changes, or a function that fetches one; it may be called again at any time. */
export type TokenSource = string | ((reason: TokenReason) => string | Promise<string>)

export class Tokens {
  readonly #source: TokenSource | undefined
  #current: string | undefined
  #refused = 0

  constructor(source: TokenSource | undefined) {
    this.#source = source
  }

  /** Whether asking again can bring another token. */
  get renewable(): boolean {
    return typeof this.#source === 'function'
  }

  /** The token in use. */
  get current(): string | undefined {
    return this.#current
  }

  /** The token to connect with. @throws ClientError `no_token` where the provider throws. */
  async get(): Promise<string | undefined> {
    this.#current ??= await this.#fetch(this.#refused > 0 ? 'refused' : 'connect')
    return this.#current
  }

  /** A token in place of one that is about to expire. @throws ClientError `no_token`. */
  async renew(): Promise<string | undefined> {
    this.#current = await this.#fetch('expiring')
    return this.#current
  }

  accepted(): void {
    this.#refused = 0
  }

  /**
   * The server refused the token.
   * @returns whether a fresh one is worth a try: a provider's first refusal may be an old token, its second is not.
   */
  retire(): boolean {
    this.#current = undefined
    this.#refused++
    return this.renewable && this.#refused < 2
  }

  async #fetch(reason: TokenReason): Promise<string | undefined> {
    if (typeof this.#source !== 'function') return this.#source
    try {
      return await this.#source(reason)
    } catch (cause) {
      throw new ClientError('no_token', `The token provider failed: ${cause}`, { cause })
    }
  }
}
