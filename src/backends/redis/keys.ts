/** Names of keys and channels. The version stands in each, so that two versions of the server never read each other's. */

/** Raised with every change of what stands in Redis or on the bus that an older server would misread. */
export const FORMAT = '1'

export class Keys {
  /** Before every key and channel. */
  readonly prefix: string
  /** A hash without expiry: the epoch, the cursors, the last cursor of every topic. All of it is lost or none. */
  readonly log: string
  /** A hash without expiry: tokens that were taken back. */
  readonly revocations: string
  /** A stream of the last comings to rooms and goings. */
  readonly passages: string
  /** Before the name of a topic: the channel on which its messages are told. */
  readonly channelPrefix: string

  /** @param prefix `redis.prefix`. */
  constructor(prefix: string) {
    this.prefix = `${prefix}:${FORMAT}:`
    this.log = `${this.prefix}log`
    this.revocations = `${this.prefix}revoked`
    this.passages = `${this.prefix}passages`
    this.channelPrefix = `${this.prefix}t:`
  }

  /** A topic's messages: a stream whose ids are the cursors. */
  stream(topic: string): string {
    return `${this.prefix}s:${topic}`
  }

  channel(topic: string): string {
    return this.channelPrefix + topic
  }

  /** The channel that only one instance hears. */
  instanceChannel(instance: string): string {
    return `${this.prefix}n:${instance}`
  }

  /** The last batch that an instance stored, with its answer. */
  writer(instance: string): string {
    return `${this.prefix}w:${instance}`
  }

  /** How far each device of a user has come. */
  positions(userId: string): string {
    return `${this.prefix}p:${userId}`
  }

  /** A room's shared state. */
  state(room: string): string {
    return `${this.prefix}r:${room}`
  }

  /** A single-use ticket. Its name is secret, and what it is worth ends with it: only a digest of it stands in a key. */
  ticket(id: string): string {
    return `${this.prefix}k:${new Bun.CryptoHasher('sha256').update(id).digest('base64url')}`
  }

  /** Something that instances share for a while. */
  shelf(name: string): string {
    return `${this.prefix}h:${name}`
  }
}
