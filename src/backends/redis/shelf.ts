/** Small things that instances share, each a key that expires. */
import type { Shelf } from '../../core/ports/shelf.ts'
import { Gathered } from './gathered.ts'
import type { Keys } from './keys.ts'
import type { Primary } from './primary.ts'
import { Script } from './script.ts'

interface Claim {
  readonly key: string
  readonly value: string
  readonly ttlMs: number
}

/** ARGV: the key; the value; milliseconds, 0: it is taken away. */
const PUT = new Script(`
if ARGV[3] == '0' then return redis.call('DEL', ARGV[1]) end
return redis.call('SET', ARGV[1], ARGV[2], 'PX', ARGV[3])
`)

/** KEYS: what is claimed. ARGV: for each its value and milliseconds. Answers what was there before. */
const CLAIM = new Script(`
local before = {}
for n, key in ipairs(KEYS) do
  before[n] = redis.call('SET', key, ARGV[2 * n - 1], 'PX', ARGV[2 * n], 'NX', 'GET')
end
return before
`)

export class RedisShelf implements Shelf {
  private readonly primary: Primary
  private readonly keys: Keys
  private readonly claims: Gathered<Claim, string | null>

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.keys = keys
    this.claims = new Gathered((claims) => {
      const keys = claims.map(({ key }) => key)
      const args = claims.flatMap(({ value, ttlMs }) => [value, ttlMs])
      return primary.ask((redis) => CLAIM.run(redis, keys, args) as Promise<(string | null)[]>)
    })
  }

  /** Sent at once, which ordinary commands are not: whoever is told something after this finds what was put down. */
  async put(name: string, value: string, ttlMs: number): Promise<void> {
    const args = [this.keys.shelf(name), value, Math.ceil(Math.max(ttlMs, 0))]
    await this.primary.ask((redis) => PUT.runWhole(redis, args))
  }

  async claim(name: string, value: string, ttlMs: number): Promise<string | undefined> {
    return (await this.claims.ask({ key: this.keys.shelf(name), value, ttlMs: Math.ceil(ttlMs) })) ?? undefined
  }

  async get(name: string): Promise<string | undefined> {
    return (await this.primary.ask((redis) => redis.get(this.keys.shelf(name)))) ?? undefined
  }
}
