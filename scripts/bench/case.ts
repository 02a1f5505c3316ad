import type { Load } from './load.ts'

/**
 * What one run of a case found: single figures, or samples (a latency each). `operations`, where a case counts them,
 * gives the line with the server's time for each; `frame_bytes` is held against the other side's.
 */
export type Measured = Record<string, number | number[]>

/** One line of the report, read out of what `run` returned. */
export interface Metric {
  /** Where the value stands in `Measured`. */
  key: string
  /** Which share of the samples, where the key holds samples: 0.95 for p95. They are pooled over the rounds. */
  quantile?: number
  title: string
  unit: string
  better: 'more' | 'less'
  /**
   * `ratio`: at least so many times as fast as the reference. `atMost`, `atLeast`: our own figure, whatever the
   * reference's is. `over`: at most so much more than the reference.
   */
  target?: { ratio: number } | { atMost: number } | { atLeast: number } | { over: number }
}

/** A form of Tidings. */
export interface Side {
  name: string
  /** Flags beyond the common ones. */
  flags?: string[]
  /** Its environment, beyond the common one. */
  env?: Readonly<Record<string, string>>
  /** How clients receive. Default `websocket`. */
  transport?: Transport
  /** So many instances share a Redis of their own. Absent: one process with a store of its own. */
  instances?: number
  /** One more instance, the last one, shares nothing but the Redis: it has a prefix of its own. */
  stranger?: boolean
  /** So many processes on one port, under `serve --workers`, share a Redis of their own. */
  workers?: number
}

export type Transport = 'websocket' | 'sse'

/** Where a process is reached, and which one it is: for its processor time and memory. */
export interface Endpoint {
  readonly port: number
  readonly pid: number
}

/** What a case runs against. */
export interface Deployment {
  /** The server; of a cluster every instance. */
  readonly servers: readonly Endpoint[]
  /** What a cluster shares. */
  readonly redis: Endpoint | undefined
  /** The cores that all of this runs on; none: it is not bound to any. */
  readonly cores: readonly number[]
}

/**
 * One thing to measure. `run` is called in a load process of its own, once per side and round, against a server that
 * has just been started; it opens its clients, warms the server up, and measures inside `load.measure`.
 */
export interface Case {
  /** For `--only`. */
  name: string
  title: string
  metrics: Metric[]
  /** Forms of Tidings, the last held against the first; one stands alone. Absent: bare Bun, and Tidings against it. */
  sides?: readonly [Side] | readonly [Side, Side]
  /** Further forms of the baseline, for information: a name and what it adds to the query of the handshake. */
  variants?: Record<string, string>
  /** For slow cases whose figure hardly differs between rounds. */
  maxRounds?: number
  /** Flags for Tidings beyond the common ones. */
  flags?: string[]
  run(load: Load): Promise<Measured>
  /** What `load.assistant()` and `load.helper()` run, in one more process on the load's core. */
  assist?(load: Load): Promise<Measured>
}
