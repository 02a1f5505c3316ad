/** The first lines of a text, and what follows them as one more; fewer where there are not so many. */
export function splitLines(text: string, count: number): string[] {
  const found: string[] = []
  let from = 0
  while (found.length < count) {
    const end = text.indexOf('\n', from)
    if (end === -1) break
    found.push(text.slice(from, end))
    from = end + 1
  }
  found.push(text.slice(from))
  return found
}
