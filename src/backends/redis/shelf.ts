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
    if (ttlMs <= 0) await this.take(name)
    else await this.primary.ask((redis) => redis.set(this.keys.shelf(name), value, 'PX', Math.ceil(ttlMs)))
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.primary.ask((redis) => redis.get(this.keys.shelf(name)))) ?? undefined
  }

  async take(name: string): Promise<string | undefined> {
    return (await this.primary.ask((redis) => redis.getdel(this.keys.shelf(name)))) ?? undefined
  }
}
