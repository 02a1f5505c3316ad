/** What a transport gives the core: a way to reach one client, and the runtime's own topics. */
import type { Encoded } from '../protocol/encoding.ts'

export type TransportName = 'websocket' | 'sse' | 'poll' | 'socketio'

/**
 * What it means that nothing comes from a client. `dead`: every client of the transport answers a probe, so one that is
 * silent is gone. `allowed`: it has no way to answer; only one that has begun to `ping` has promised to go on.
 * `watched`: the transport itself notices when its client is gone.
 */
export type Silence = 'dead' | 'allowed' | 'watched'

/**
 * One client's end of a transport. A transport MUST keep the order of what it is given, MUST NOT block, and MUST call
 * the hub's `closed` once when the client is gone, for whatever reason.
 */
export interface Wire {
  /** `none`: nobody is connected, a frame came on its own. Such a session is registered nowhere. */
  readonly transport: TransportName | 'none'
  /** Whether `subscribe` works: what is not native is looped over. */
  readonly native: boolean
  readonly silence: Silence
  send(data: Encoded): void
  /** Sends a batch as few writes. */
  sendAll(batch: readonly Encoded[]): void
  /** Subscribes to a native topic. */
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  /** Publishes to every subscriber of a native topic but this one. False: somebody is under back-pressure. */
  publish(topic: string, data: Encoded): boolean
  /**
   * There only where the client fetches what it receives. Tells it that there is something stored up to this cursor: its
   * session is given no stored message, it reads them from the log when the client comes.
   */
  wake?(cursor: number): void
  /** Asks the client's socket for a sign of life; the answer reaches `hub.alive`, with the position where the transport can. */
  probe(position: string): void
  /** Bytes that wait for the client to read. */
  bufferedBytes(): number
  /** Ends the connection after what was sent before; the reason is cut to what a close frame holds. */
  end(code: number, reason: string): void
}

/** The runtime's publish and subscribe: one hand-over reaches all subscribers, in one write each per turn of the loop. */
export interface NativeTopics {
  /** False: somebody is under back-pressure. */
  publish(topic: string, data: Encoded): boolean
}
