/**
 * Revocations, in one hash for all instances.
 *
 * The hash has no expiry, so that of the ways in which Redis evicts only `allkeys-*` can take it. Where it is lost all the
 * same, or a failover has lost its newest part, every instance that runs puts back what it knows, as soon as it looks. What
 * no running instance knows is lost with Redis' data: those tokens are good again until they end.
 */
import type { KeptRevocations, RevocationChange, Revocations } from '../../core/ports/revocations.ts'
import type { Revocation } from '../../core/revocation.ts'
import type { Keys } from './keys.ts'
import type { Primary } from './primary.ts'
import { Script } from './script.ts'

/** Fields that one step of reading or pruning looks at. */
const STEP = 500
/**
 * Milliseconds for which a revocation is kept past its time: for an instance whose clock is behind, the tokens are good for
 * that much longer.
 */
const SPARE_MS = 10 * 60_000

/**
 * Keeps a revocation, or widens the one of its scope. The version is a time, so that it is none of those before the hash
 * was lost.
 *
 * KEYS: the revocations. ARGV: scope; issued before; until. Answers the versions before and after it.
 */
const ADD = new Script(`
local held = redis.call('HMGET', KEYS[1], ARGV[1], 'version')
local before = held[2] or '0'
local issued, kept = string.match(held[1] or '', '^(%d+) (%d+)$')
local function larger(a, b) return string.format('%.0f', math.max(tonumber(a or 0), tonumber(b))) end
local value = larger(issued, ARGV[2]) .. ' ' .. larger(kept, ARGV[3])
if value == held[1] then return { before, before } end
local time = redis.call('TIME')
local version = larger(tonumber(before) + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
redis.call('HSET', KEYS[1], ARGV[1], value, 'version', version)
return { before, version }
`)

/** KEYS: the revocations. ARGV: where to begin; fields to look at; milliseconds past their time. Answers where to go on. */
const PRUNE = new Script(`
local time = redis.call('TIME')
local over = tonumber(time[1]) * 1000 - tonumber(ARGV[3])
local page = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
for i = 1, #page[2], 2 do
  local kept = string.match(page[2][i + 1], ' (%d+)$')
  if kept and tonumber(kept) < over then redis.call('HDEL', KEYS[1], page[2][i]) end
end
return page[1]
`)

export class RedisRevocations implements Revocations {
  private readonly primary: Primary
  private readonly key: string
  /** How far pruning has come. */
  private place = '0'

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.key = keys.revocations
  }

  async add({ scope, issuedBefore, until }: Revocation): Promise<RevocationChange> {
    const args = [scope, issuedBefore, until]
    const [before, version] = (await this.primary.ask((redis) => ADD.run(redis, [this.key], args))) as [string, string]
    return { before, version }
  }

  /** Each call also prunes a bounded piece: instances look every few seconds. */
  async all(known?: string): Promise<KeptRevocations | undefined> {
    const { key, place, primary } = this
    this.place = String(await primary.ask((redis) => PRUNE.run(redis, [key], [place, STEP, SPARE_MS])))
    // Before the rest: what is added while this reads has a newer version, and is read again.
    const version = (await primary.ask((redis) => redis.hget(key, 'version'))) ?? '0'
    return known === version ? undefined : { version, revocations: await this.read() }
  }

  private async read(): Promise<Revocation[]> {
    const revocations: Revocation[] = []
    let cursor = '0'
    do {
      const [next, page] = await this.primary.ask((redis) => redis.hscan(this.key, cursor, 'COUNT', STEP))
      for (let at = 0; at < page.length; at += 2) {
        const [, issuedBefore, until] = /^(\d+) (\d+)$/.exec(page[at + 1] ?? '') ?? []
        if (until === undefined) continue
        revocations.push({ scope: page[at] ?? '', issuedBefore: Number(issuedBefore), until: Number(until) })
      }
      cursor = next
    } while (cursor !== '0')
    return revocations
  }
}
