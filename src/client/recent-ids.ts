/** The ids of messages that have been handed on, the newest ones. */

/** Half a minute of 100 messages a second; about 60 bytes each. */
const KEPT = 4096

export class RecentIds {
  #ids = new Set<string>()
  /** The half that is forgotten next: cheaper than to forget one by one. */
  #older = new Set<string>()

  /** @returns false where the id was added before. */
  add(id: string): boolean {
    if (this.#ids.has(id) || this.#older.has(id)) return false
    this.#ids.add(id)
    if (this.#ids.size >= KEPT / 2) {
      this.#older = this.#ids
      this.#ids = new Set()
    }
    return true
  }
}
