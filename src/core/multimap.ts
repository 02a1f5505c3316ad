/**
 * One key, one or many values. A single value stands in the map itself: most users, devices and addresses have one
 * connection, and a Set for each would double what an idle connection costs.
 */
export class MultiMap<K, V extends object> {
  private readonly entries = new Map<K, V | Set<V>>()

  /** Keys that have a value. */
  get size(): number {
    return this.entries.size
  }

  add(key: K, value: V): void {
    const found = this.entries.get(key)
    if (found === undefined) this.entries.set(key, value)
    else if (found instanceof Set) found.add(value)
    else if (found !== value) this.entries.set(key, new Set([found, value]))
  }

  delete(key: K, value: V): void {
    const found = this.entries.get(key)
    if (found === value) this.entries.delete(key)
    else if (found instanceof Set && found.delete(value) && found.size === 1) {
      for (const last of found) this.entries.set(key, last)
    }
  }

  has(key: K): boolean {
    return this.entries.has(key)
  }

  count(key: K): number {
    const found = this.entries.get(key)
    if (found === undefined) return 0
    return found instanceof Set ? found.size : 1
  }

  /** The values of a key, in the order in which they came. */
  get(key: K): Iterable<V> {
    const found = this.entries.get(key)
    if (found === undefined) return []
    return found instanceof Set ? found : [found]
  }

  /** One value of a key. */
  first(key: K): V | undefined {
    for (const value of this.get(key)) return value
    return undefined
  }

  keys(): IterableIterator<K> {
    return this.entries.keys()
  }
}
