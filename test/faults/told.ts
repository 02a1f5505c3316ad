/** What a member of a room is told of the others' coming and going, and whether that can be true. */
import type { Frame } from '../../src/testing/index.ts'

interface Person {
  readonly id: string
}

export class Told {
  /** Who is there, as far as was told. */
  readonly here = new Set<string>()
  readonly breaches: string[] = []
  /** How often each has left because its instance died. */
  readonly lost = new Map<string, number>()
  joined = 0

  hear({ type, payload }: Pick<Frame, 'type' | 'payload'>): void {
    if (type === 'presence') {
      const { joined = [], left = [] } = payload as { joined?: Person[]; left?: Person[] }
      for (const { id } of joined) this.came(id)
      for (const { id } of left) this.went(id)
    }
    if (type !== 'user_joined_room' && type !== 'user_left_room') return
    const { user, participant_count, reason } = payload as { user: Person; participant_count: number; reason?: string }
    if (type === 'user_joined_room') this.came(user.id)
    else this.went(user.id)
    if (reason === 'node_lost') this.lost.set(user.id, (this.lost.get(user.id) ?? 0) + 1)
    if (participant_count < 1) this.breaches.push(`${participant_count} were there`)
  }

  private came(id: string): void {
    this.joined++
    if (this.here.has(id)) this.breaches.push(`${id} came twice`)
    this.here.add(id)
  }

  private went(id: string): void {
    if (!this.here.delete(id)) this.breaches.push(`${id} left and was not there`)
  }
}
