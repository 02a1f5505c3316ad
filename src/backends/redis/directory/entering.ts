/** Connections that have entered rooms here and cannot be reached there yet, and of which users others were not told. */
export class Entering {
  private readonly byConnection = new Map<string, Set<string>>()
  /** Of users who were told to nobody, the connections by which they have entered. */
  private readonly untold = new Map<string, Set<string>>()

  add(room: string, { connectionId, userId }: Standing, isTold: boolean): void {
    addTo(this.byConnection, connectionId, room)
    if (isTold) this.told(room, userId)
    else addTo(this.untold, personIn(room, userId), connectionId)
  }

  /** The rooms that a connection has entered. */
  roomsOf(connectionId: string): Iterable<string> {
    return this.byConnection.get(connectionId) ?? []
  }

  isTold(room: string, userId: string): boolean {
    return !this.untold.has(personIn(room, userId))
  }

  /** A connection can be reached in the room. */
  entered(room: string, connectionId: string): void {
    deleteFrom(this.byConnection, connectionId, room)
  }

  /** A connection has left the room. */
  delete(room: string, { connectionId, userId }: Standing): void {
    deleteFrom(this.byConnection, connectionId, room)
    deleteFrom(this.untold, personIn(room, userId), connectionId)
  }

  /** Others were told of a user. */
  told(room: string, userId: string): void {
    this.untold.delete(personIn(room, userId))
  }
}

interface Standing {
  readonly connectionId: string
  readonly userId: string
}

function personIn(room: string, userId: string): string {
  return `${room}\n${userId}`
}

function addTo(sets: Map<string, Set<string>>, name: string, value: string): void {
  const set = sets.get(name)
  if (set === undefined) sets.set(name, new Set([value]))
  else set.add(value)
}

function deleteFrom(sets: Map<string, Set<string>>, name: string, value: string): void {
  const set = sets.get(name)
  if (set?.delete(value) && set.size === 0) sets.delete(name)
}
