/** Leaves that Redis could not be told of. It is told when it can be; a connection that ends is taken out as a whole. */
import { attendance } from './attendance.ts'
import type { Lease } from './lease.ts'
import { LEAVE } from './scripts.ts'

export interface OwedLeave {
  readonly connectionId: string
  readonly userId: string
  readonly room: string
}

export class OwedLeaves {
  private readonly lease: Lease
  private readonly left: (leave: OwedLeave, participants: number) => void
  private owed: OwedLeave[] = []

  /** @param left called where a leave that was told late was the user's last from the room. */
  constructor(lease: Lease, left: (leave: OwedLeave, participants: number) => void) {
    this.lease = lease
    this.left = left
  }

  add(leave: OwedLeave): void {
    this.owed.push(leave)
  }

  /** A connection is in the room again, or (no room) in none. */
  forget(connectionId: string, room?: string): void {
    if (this.owed.length === 0) return
    this.owed = this.owed.filter(
      (leave) => leave.connectionId !== connectionId || (room !== undefined && leave.room !== room),
    )
  }

  /** Tells Redis of them. What it cannot be told now stays. */
  repay(): void {
    for (const leave of this.owed.splice(0)) void this.tell(leave)
  }

  private async tell(leave: OwedLeave): Promise<void> {
    try {
      const reply = await this.lease.run(LEAVE, [leave.connectionId, leave.userId, leave.room])
      const { changed, participants } = attendance(reply)
      if (changed) this.left(leave, participants)
    } catch {
      this.owed.push(leave)
    }
  }
}
