/** What a transport gives the core: a way to reach one client, and the runtime's own topics. */
import type { Encoded } from '../protocol/encoding.ts'

export type TransportName = 'websocket' | 'sse' | 'poll' | 'socketio'

/**
 * One client's end of a transport. A transport MUST keep the order of what it is given, MUST NOT block, and MUST call
 * the hub's `closed` once when the client is gone, for whatever reason.
 */
export interface Wire {
  readonly transport: TransportName
  /** Whether `subscribe` works: what is not native is looped over. */
  readonly native: boolean
  send(data: Encoded): void
  /** Sends a batch as few writes. */
  sendAll(batch: readonly Encoded[]): void
  /** Subscribes to a native topic. */
  subscribe(topic: string): void
  unsubscribe(topic: string): void
  /** Publishes to every subscriber of a native topic but this one. False: somebody is under back-pressure. */
  publish(topic: string, data: Encoded): boolean
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
