import type { Passage } from '../../../core/ports/directory.ts'

/** Reads what scripts answer of those who have left rooms: room, user, name, participants, and so on. */
export function leavesOf(reply: readonly string[]): Omit<Passage, 'nodeLost'>[] {
  const leaves = []
  for (let n = 0; n < reply.length; n += 4) {
    const [room = '', userId = '', name = '', participants = '0'] = reply.slice(n, n + 4)
    const username = name === '' ? undefined : name
    leaves.push({ room, userId, username, participants: Number(participants), came: false })
  }
  return leaves
}
