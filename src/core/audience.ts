/** How many connections a message is for, over the whole deployment. */
import type { MaybePromise } from './maybe-promise.ts'
import type { Directory } from './ports/directory.ts'
import type { Recipient } from './publication.ts'
import { within } from './within.ts'

/**
 * Milliseconds that a publisher waits for the number: it is told along with an answer that does not need it. Past that it
 * is what this process has.
 */
const PATIENCE_MS = 1000

export class Audience {
  private readonly directory: Directory | undefined
  /** What is being asked: whoever wants to know the same meanwhile is told the same. */
  private readonly asked = new Map<string, Promise<number>>()

  /** @param directory absent where this process is the whole deployment. */
  constructor(directory: Directory | undefined) {
    this.directory = directory
  }

  /**
   * @param here the connections of this process that it is for, without `own`.
   * @param own connections of the publisher that get no copy, of those that count.
   */
  count(to: Recipient, here: number, own: number): MaybePromise<number> {
    const { directory } = this
    if (directory === undefined) return here
    const key = keyOf(to)
    let asked = this.asked.get(key)
    if (asked === undefined) {
      asked = within(PATIENCE_MS, async () => ask(directory, to)).finally(() => this.asked.delete(key))
      this.asked.set(key, asked)
    }
    // What has come here and is not written down yet is there all the same.
    return asked.then(
      (all) => Math.max(all - own, here),
      () => here,
    )
  }
}

function keyOf(to: Recipient): string {
  switch (to.kind) {
    case 'room':
      return `r${to.room}`
    case 'user':
      return `u${to.userId}`
    case 'device':
      return `d${to.userId}\n${to.deviceId}`
    case 'all':
      return ''
  }
}

async function ask(directory: Directory, to: Recipient): Promise<number> {
  switch (to.kind) {
    case 'room':
      return directory.connectionsIn(to.room)
    case 'user':
      return directory.connectionsOf(to.userId)
    case 'all':
      return (await directory.totals()).connections
    case 'device': {
      let count = 0
      for await (const page of directory.connections({ userId: to.userId }))
        for (const { deviceId } of page) if (deviceId === to.deviceId) count++
      return count
    }
  }
}
