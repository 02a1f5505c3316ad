/**
 * Strings that many connections share, such as addresses and user agents: each comes with its request as a string of its
 * own, and would be kept ten thousand times.
 */

/** Strings remembered: more distinct ones come from whoever makes them up, and are not worth remembering. */
const MAX_REMEMBERED = 10_000

export class Interned {
  private readonly known = new Map<string, string>()

  /** The first string seen that equals this one. */
  of(text: string): string {
    const known = this.known.get(text)
    if (known !== undefined) return known
    if (this.known.size >= MAX_REMEMBERED) this.known.clear()
    this.known.set(text, text)
    return text
  }
}
