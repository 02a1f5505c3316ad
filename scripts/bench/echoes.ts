/** What everybody else notices: pings at a fixed pace from connections that have nothing to do with the load. */

import type { Measured, Metric } from './case.ts'
import type { Client } from './client.ts'
import { clientFrame, PONG } from './frames.ts'
import type { Load } from './load.ts'
import { pingFrame } from './templates.ts'
import { queuedMs } from './usage.ts'

const CONNECTIONS = 20
/** Each connection asks at this pace whether it was answered or not: a stall is seen by all who would have waited. */
const PING_EVERY_MS = 20

interface Asked {
  at: number
  /** What the server had waited for its core by then. */
  queued: number
}

/** What pings tell: how long each took, and the longest, with and without what is the machine's doing. */
export interface Echoes extends Measured {
  echo_ms: number[]
  longest_ms: number
  /** Less the time for which the server could have answered, but its core did something else. */
  own_longest_ms: number
}

/**
 * Pings while `duration` lasts. For an assistant: in the process that carries the load, its reading would count as the
 * server's delay.
 */
export async function echoes(load: Load, duration: () => Promise<unknown>): Promise<Echoes> {
  const { pid } = load.server
  const clients = await load.open(CONNECTIONS)
  const ping = clientFrame(pingFrame())
  /** Of the unanswered pings of a client, oldest first. */
  const asked = new Map<Client, Asked[]>(clients.map((client) => [client, []]))
  let samples: number[] = []
  let own = 0
  load.onFrame = (client, signature) => {
    const sent = signature === PONG ? asked.get(client)?.shift() : undefined
    if (sent === undefined) return
    const took = performance.now() - sent.at
    samples.push(took)
    if (took > own) own = Math.max(own, took - (queuedMs(pid) - sent.queued))
  }
  const started = performance.now()
  let turn = 0
  const timer = setInterval(() => {
    const queued = queuedMs(pid)
    // However late the timer is, each client keeps its pace, one after the other.
    const due = ((performance.now() - started) / PING_EVERY_MS) * clients.length
    for (; turn < due; turn++) {
      const client = clients[turn % clients.length]
      if (client === undefined) return
      asked.get(client)?.push({ at: performance.now(), queued })
      client.write(ping)
    }
  }, 1)
  await load.until(Bun.sleep(load.size(2000, 1000)), 'warm-up')
  samples = []
  own = 0
  await load.until(duration(), 'echoes')
  clearInterval(timer)
  const longest = samples.reduce((most, sample) => Math.max(most, sample), 0)
  return { echo_ms: samples, longest_ms: longest, own_longest_ms: own }
}

/** The lines of the report for what {@link echoes} found. */
export function noticed(target?: Metric['target']): Metric[] {
  return [
    { key: 'echo_ms', quantile: 0.99, title: 'a ping of somebody else meanwhile, p99', unit: 'ms', better: 'less' },
    { key: 'longest_ms', title: 'the longest of a round', unit: 'ms', better: 'less' },
    {
      key: 'own_longest_ms',
      title: "the longest, less the server's wait for its core",
      unit: 'ms',
      better: 'less',
      ...(target && { target }),
    },
  ]
}
