let count = 0

/** Names that nobody else has: tests share a server and run at the same time. */
export function names() {
  const n = ++count
  return {
    alice: `alice-${n}`,
    bob: `bob-${n}`,
    carol: `carol-${n}`,
    dave: `dave-${n}`,
    lobby: `lobby-${n}`,
    hall: `hall-${n}`,
    /** A room of some rule. */
    room: (prefix: string) => `${prefix}:${n}`,
  }
}
