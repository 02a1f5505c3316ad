/** Small things that instances share, each a key that expires. */
import type { Shelf } from '../../core/ports/shelf.ts'
import type { Keys } from './keys.ts'
import type { Primary } from './primary.ts'

export class RedisShelf implements Shelf {
  private readonly primary: Primary
  private readonly keys: Keys

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.keys = keys
  }

  async put(name: string, value: string, ttlMs: number): Promise<void> {
    const key = this.keys.shelf(name)
    await this.primary.ask<unknown>((redis) =>
      ttlMs > 0 ? redis.set(key, value, 'PX', Math.ceil(ttlMs)) : redis.del(key),
    )
  }

  async claim(name: string, value: string, ttlMs: number): Promise<string | undefined> {
    const key = this.keys.shelf(name)
    return (await this.primary.ask((redis) => redis.set(key, value, 'PX', Math.ceil(ttlMs), 'NX', 'GET'))) ?? undefined
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.primary.ask((redis) => redis.get(this.keys.shelf(name)))) ?? undefined
  }
}
