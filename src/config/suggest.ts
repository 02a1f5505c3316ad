/** The known name that somebody probably meant, or `undefined` where none is near. */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  // Two letters or a third of them: further away it is another word, and a wrong hint is worse than none.
  let best = Math.max(name.length > 3 ? 2 : 1, Math.floor(name.length / 3)) + 1
  let found: string | undefined
  for (const candidate of known) {
    const distance = edits(name, candidate)
    if (distance < best) {
      best = distance
      found = candidate
    }
  }
  return found
}

/** Levenshtein distance: insertions, deletions and replacements from one text to the other. */
function edits(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (const [row, letter] of [...from].entries()) {
    const current = [row + 1]
    for (let column = 0; column < to.length; column += 1) {
      current.push(
        Math.min(
          (previous[column + 1] ?? 0) + 1,
          (current[column] ?? 0) + 1,
          (previous[column] ?? 0) + (letter === to[column] ? 0 : 1),
        ),
      )
    }
    previous = current
  }
  return previous[to.length] ?? from.length
}
