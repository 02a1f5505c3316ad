/**
 * The list of a room's participants and the comings and goings that its members are told come by different ways. Whoever
 * has the list goes on with what it is told afterwards; so what was told while the list was read is put into it.
 */
import type { Passage } from './ports/backend.ts'

/** What is read of a room; a list that is too long has fewer than the number says. */
interface Listing {
  readonly participants: { id: string; username: string | null }[]
  readonly participant_count: number
}

export class Following {
  /** The last that was told of each user. */
  private readonly told = new Map<string, Passage>()

  hear(passage: Passage): void {
    this.told.set(passage.userId, passage)
  }

  /** What was read, with what was told meanwhile: what is told from now on goes on from there. */
  correct<T extends Listing>(read: T): T {
    if (this.told.size === 0 || read.participants.length < read.participant_count) return read
    const participants = read.participants.filter(({ id }) => this.told.get(id)?.came !== false)
    const listed = new Set(participants.map(({ id }) => id))
    for (const [id, { came, username }] of this.told)
      if (came && !listed.has(id)) participants.push({ id, username: username ?? null })
    return { ...read, participants, participant_count: participants.length }
  }
}
