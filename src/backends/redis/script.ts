/** A Lua script, sent by its hash; whole only where Redis does not know it, after a restart or a flush of its scripts. */
import { Command, type Redis } from 'ioredis'

export class Script {
  private readonly source: string
  private readonly sha: string

  constructor(source: string) {
    this.source = source
    this.sha = new Bun.CryptoHasher('sha1').update(source).digest('hex')
  }

  /** Runs it. Whatever it does is done at once, between two commands of anybody else. */
  async run(redis: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    try {
      return await send(redis, 'evalsha', [this.sha, keys.length, ...keys, ...args])
    } catch (error) {
      if (!isUnknown(error)) throw error
      return await send(redis, 'eval', [this.source, keys.length, ...keys, ...args])
    }
  }

  /**
   * Runs it though Redis may not know it: for short ones that must keep their order, because {@link run} asks again where
   * Redis does not, and what was sent meanwhile comes before.
   */
  runWhole(redis: Redis, args: readonly (string | number)[]): Promise<unknown> {
    return send(redis, 'eval', [this.source, 0, ...args])
  }

  /** Has Redis learn it, for use in a pipeline, where it can only be named. */
  async load(redis: Redis): Promise<void> {
    await redis.script('LOAD', this.source)
  }

  /** The command that runs it in a pipeline. */
  command(keys: readonly string[], args: readonly (string | number)[]): (string | number)[] {
    return ['evalsha', this.sha, keys.length, ...keys, ...args]
  }
}

/** Redis was restarted, failed over, or had its scripts flushed. */
export function isUnknown(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOSCRIPT')
}

/** Past the client's automatic pipelines: they wait for one another, and a publish would wait for somebody's history. */
function send(redis: Redis, name: string, args: (string | number)[]): Promise<unknown> {
  return redis.sendCommand(new Command(name, args, { replyEncoding: 'utf8' })) as Promise<unknown>
}
