/** What Redis could not be told of a connection in a room. It is told when it can be, unless it is no longer so. */
import type { Script } from '../script.ts'
import type { Lease } from './lease.ts'

/** A connection in a room. */
export interface Standing {
  readonly connectionId: string
  readonly room: string
}

interface Debt extends Standing {
  readonly script: Script
  readonly args: readonly (string | number)[]
}

export class Owed {
  private readonly lease: Lease
  /** The last that is owed of a connection in a room stands for all. */
  private readonly debts = new Map<string, Debt>()

  constructor(lease: Lease) {
    this.lease = lease
  }

  /** Has it run with the next {@link repay}. */
  add(script: Script, standing: Standing, args: readonly (string | number)[]): void {
    this.debts.set(nameOf(standing), { ...standing, script, args })
  }

  /** Has it run now, and again until Redis has answered. */
  run(script: Script, standing: Standing, args: readonly (string | number)[]): void {
    this.add(script, standing, args)
    const debt = this.debts.get(nameOf(standing))
    if (debt !== undefined) void this.repayOne(debt)
  }

  /** What was owed of a connection in a room, or (no room) in any, is so no longer. */
  forget(connectionId: string, room?: string): void {
    if (room !== undefined) {
      this.debts.delete(nameOf({ connectionId, room }))
      return
    }
    for (const [name, debt] of this.debts) if (debt.connectionId === connectionId) this.debts.delete(name)
  }

  /** Whether anything is owed of a connection in a room. */
  has(standing: Standing): boolean {
    return this.debts.has(nameOf(standing))
  }

  /** Tells Redis of them. What it cannot be told now stays. */
  repay(): void {
    for (const debt of this.debts.values()) void this.repayOne(debt)
  }

  private async repayOne(debt: Debt): Promise<void> {
    try {
      await this.lease.run(debt.script, debt.args)
    } catch {
      return
    }
    const name = nameOf(debt)
    if (this.debts.get(name) === debt) this.debts.delete(name)
  }
}

function nameOf({ connectionId, room }: Standing): string {
  return `${connectionId}\n${room}`
}
