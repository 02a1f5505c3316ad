/** Topics of the log. They are named apart from the native ones: a room's messages are stored once, for all encodings. */

export function roomLog(room: string): string {
  return `room:${room}`
}

export function userLog(userId: string): string {
  return `user:${userId}`
}

/** What a topic of the log is of. */
export function parseLogTopic(topic: string): { kind: 'room' | 'user'; name: string } {
  const kind = topic.startsWith('room:') ? 'room' : 'user'
  return { kind, name: topic.slice('room:'.length) }
}
