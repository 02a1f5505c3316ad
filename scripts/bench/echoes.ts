/** What everybody else notices: pings at a fixed pace from connections that have nothing to do with the load. */

import type { Client } from './client.ts'
import { clientFrame, PONG } from './frames.ts'
import type { Load } from './load.ts'
import { pingFrame } from './templates.ts'

const CONNECTIONS = 20
/** Each connection asks at this pace whether it was answered or not: a stall is seen by all who would have waited. */
const PING_EVERY_MS = 20

/**
 * Milliseconds that each ping took while `duration` lasted. For an assistant: in the process that carries the load, its
 * reading would count as the server's delay.
 */
export async function echoes(load: Load, duration: () => Promise<unknown>): Promise<number[]> {
  const clients = await load.open(CONNECTIONS)
  const ping = clientFrame(pingFrame())
  /** When each unanswered ping of a client went out, oldest first. */
  const asked = new Map<Client, number[]>(clients.map((client) => [client, []]))
  let samples: number[] = []
  load.onFrame = (client, signature) => {
    const sent = signature === PONG ? asked.get(client)?.shift() : undefined
    if (sent !== undefined) samples.push(performance.now() - sent)
  }
  const started = performance.now()
  let turn = 0
  const timer = setInterval(() => {
    // However late the timer is, each client keeps its pace, one after the other.
    const due = ((performance.now() - started) / PING_EVERY_MS) * clients.length
    for (; turn < due; turn++) {
      const client = clients[turn % clients.length]
      if (client === undefined) return
      asked.get(client)?.push(performance.now())
      client.write(ping)
    }
  }, 1)
  await load.until(Bun.sleep(load.size(2000, 1000)), 'warm-up')
  samples = []
  await load.until(duration(), 'echoes')
  clearInterval(timer)
  return samples
}

/** The longest of all: how long the server did nothing for anybody. */
export function longest(samples: readonly number[]): number {
  return samples.reduce((most, sample) => Math.max(most, sample), 0)
}
