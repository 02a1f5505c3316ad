/** Pages of a list that changes while it is read: a page starts after the last item of the one before, wherever that is now. */

export interface Page<T> {
  readonly items: readonly T[]
  /** The last item where there are more. */
  readonly last: T | undefined
}

/**
 * The `limit` smallest of `candidates`, in order. One pass, and no sorting of what is not on the page: there may be tens
 * of thousands, and whoever lists them must not hold up everybody else.
 * @param candidates in any order; nearly sorted ones cost least.
 * @param compare a total order that does not change while an item lives.
 */
export function pageOf<T>(candidates: Iterable<T>, compare: (a: T, b: T) => number, limit: number): Page<T> {
  const items: T[] = []
  let sorted = true
  let more = false
  for (const candidate of candidates) {
    if (items.length < limit) {
      const before = items.at(-1)
      if (before !== undefined && compare(before, candidate) > 0) sorted = false
      items.push(candidate)
      continue
    }
    more = true
    if (!sorted) {
      items.sort(compare)
      sorted = true
    }
    if (compare(candidate, items[limit - 1] as T) >= 0) continue
    items.pop()
    items.splice(placeFor(items, candidate, compare), 0, candidate)
  }
  if (!sorted) items.sort(compare)
  return { items, last: more ? items.at(-1) : undefined }
}

/** The index before which an item belongs in a sorted list. */
function placeFor<T>(items: readonly T[], item: T, compare: (a: T, b: T) => number): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compare(items[middle] as T, item) < 0) low = middle + 1
    else high = middle
  }
  return low
}
