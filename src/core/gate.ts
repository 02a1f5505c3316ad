/**
 * Where history meets live. A session that catches up is read to from the log, page by page, and hears nothing live:
 * stored messages need no queue, because reading goes on until a read ends at what was delivered; of those that are
 * stored nowhere the newest few are held. In the very turn in which the reading ends they follow, and the gate opens.
 */
import type { Message } from './message.ts'

/** Messages without a cursor that are held for a session that catches up: fresh presence and typing, not a backlog. */
const MAX_HELD = 100

export class Gate {
  /** Everything up to this cursor has been handed to the client. */
  position: number
  private held: Message[] = []

  constructor(position: number) {
    this.position = position
  }

  /** Takes a live message: what is stored will be read, the rest waits. */
  hold(message: Message): void {
    if (message.cursor !== undefined) return
    this.held.push(message)
    if (this.held.length > MAX_HELD) this.held.shift()
  }

  /** What was held, for the moment in which the gate opens. */
  release(): readonly Message[] {
    const held = this.held
    this.held = []
    return held
  }
}
