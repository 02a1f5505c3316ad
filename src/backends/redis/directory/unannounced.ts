/** Of users who have entered a room here and of whom others were not told: the connections by which they did. */
export class Unannounced {
  private readonly byPerson = new Map<string, Set<string>>()

  add(room: string, { connectionId, userId }: Standing): void {
    const person = personIn(room, userId)
    const connections = this.byPerson.get(person)
    if (connections === undefined) this.byPerson.set(person, new Set([connectionId]))
    else connections.add(connectionId)
  }

  has(room: string, userId: string): boolean {
    return this.byPerson.has(personIn(room, userId))
  }

  /** A connection has left. */
  delete(room: string, { connectionId, userId }: Standing): void {
    const person = personIn(room, userId)
    const connections = this.byPerson.get(person)
    if (connections?.delete(connectionId) && connections.size === 0) this.byPerson.delete(person)
  }

  /** Others were told of a user. */
  told(room: string, userId: string): void {
    this.byPerson.delete(personIn(room, userId))
  }
}

interface Standing {
  readonly connectionId: string
  readonly userId: string
}

function personIn(room: string, userId: string): string {
  return `${room}\n${userId}`
}
