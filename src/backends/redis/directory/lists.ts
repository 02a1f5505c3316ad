/** Reads the directory: who is connected where, who is in which room. */
import type { Redis } from 'ioredis'
import type { Participant } from '../../../core/ports/backend.ts'
import { byAge, type Listed, type ListPlace, type Lookup } from '../../../core/ports/directory.ts'
import type { ConnectionRecord } from '../../../core/records.ts'
import { Gathered } from '../gathered.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'
import { Script } from '../script.ts'

/** Connections read at once. */
const PAGE = 200

/** Whose connections: a room's or a user's. */
type Counted = readonly [kind: 'd:' | 'u:', name: string]

/** KEYS: what rooms and users have. ARGV: which of them each is. Answers how many connections; every publish wants to know. */
const COUNT = new Script(`
local counts = {}
for n, key in ipairs(KEYS) do
  counts[n] = ARGV[n] == 'u:' and redis.call('ZCARD', key) or redis.call('HGET', key, '') or 0
end
return counts
`)

export class Lists {
  private readonly primary: Primary
  private readonly prefix: string
  private readonly counts: Gathered<Counted, number>

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.prefix = keys.prefix
    this.counts = new Gathered(async (counted) => {
      const names = counted.map(([kind, name]) => this.key(kind, name))
      const kinds = counted.map(([kind]) => kind)
      const counts = await primary.ask((redis) => COUNT.run(redis, names, kinds) as Promise<(string | number)[]>)
      return counts.map(Number)
    })
  }

  participantsIn(room: string): Promise<number> {
    return this.primary.ask((redis) => redis.zcard(this.key('m:', room)))
  }

  async isIn(room: string, userId: string): Promise<boolean> {
    return (await this.primary.ask((redis) => redis.hexists(this.key('d:', room), userId))) === 1
  }

  async participants(room: string, limit: number): Promise<readonly Participant[]> {
    if (limit <= 0) return []
    return await this.primary.ask(async (redis) => {
      const users = await redis.zrange(this.key('m:', room), '0', `${limit - 1}`)
      if (users.length === 0) return []
      const held = await redis.hmget(this.key('d:', room), ...users)
      return users.map((id, place) => {
        const name = (held[place] ?? '').replace(/^\d+-? /, '')
        return { id, username: name === '' ? undefined : name }
      })
    })
  }

  connectionsOf(userId: string): Promise<number> {
    return this.counts.ask(['u:', userId])
  }

  connectionsIn(room: string): Promise<number> {
    return this.counts.ask(['d:', room])
  }

  rooms(after: string | undefined, limit: number): Promise<readonly string[]> {
    const from = after === undefined ? '-' : `(${after}`
    return this.primary.ask((redis) => redis.zrange(this.key('', 'rooms'), from, '+', 'BYLEX', 'LIMIT', 0, limit))
  }

  async totals(): Promise<{ connections: number; users: number; rooms: number }> {
    const [connections = 0, users = 0, rooms = 0] = await this.primary.ask((redis) =>
      Promise.all([
        redis.zcard(this.key('', 'connections')),
        redis.scard(this.key('', 'users')),
        redis.zcard(this.key('', 'rooms')),
      ]),
    )
    return { connections, users, rooms }
  }

  /** The instances whose lease holds, and those whose lease has run out, by Redis' clock. */
  async instances(): Promise<{ alive: string[]; dead: string[] }> {
    const [[seconds], leases] = await this.primary.ask((redis) =>
      Promise.all([redis.time(), redis.zrange(this.key('', 'instances'), '0', '-1', 'WITHSCORES')]),
    )
    const alive: string[] = []
    const dead: string[] = []
    for (let n = 0; n < leases.length; n += 2) {
      const list = Number(leases[n + 1]) / 1e6 > Number(seconds) ? alive : dead
      list.push(leases[n] ?? '')
    }
    return { alive, dead }
  }

  ownedBy(instance: string): Promise<readonly string[]> {
    return this.primary.ask((redis) => redis.smembers(this.key('o:', instance)))
  }

  async find(connectionId: string): Promise<Listed | undefined> {
    const [found] = await this.read([connectionId])
    return found
  }

  async *connections(lookup: Lookup, after: ListPlace | undefined): AsyncIterable<readonly Listed[]> {
    for await (const ids of this.pagesOf(lookup, after)) yield await this.read(ids, lookup)
  }

  /** Who may be meant, in the order of the list. */
  private async *pagesOf({ userId, addressKey, room }: Lookup, after?: ListPlace): AsyncIterable<readonly string[]> {
    let places: ListPlace[]
    if (userId !== undefined) places = await this.ofUser(userId)
    else if (addressKey !== undefined) places = await this.ofAddress(addressKey)
    else if (room !== undefined) places = await this.inRoom(room)
    else {
      yield* this.everybody(after)
      return
    }
    const ids = behind(places, after).map(({ connectionId }) => connectionId)
    for (let n = 0; n < ids.length; n += PAGE) yield ids.slice(n, n + PAGE)
  }

  private async ofUser(userId: string): Promise<ListPlace[]> {
    return placesOf(await this.primary.ask((redis) => redis.zrange(this.key('u:', userId), '0', '-1', 'WITHSCORES')))
  }

  private async ofAddress(addressKey: string): Promise<ListPlace[]> {
    const ids = await this.primary.ask((redis) => redis.smembers(this.key('a:', addressKey)))
    return await this.read(ids)
  }

  /** Those too that have only just entered: their clients may know that before the others do. */
  private async inRoom(room: string): Promise<ListPlace[]> {
    const places = new Map<string, ListPlace>()
    let cursor = '0'
    do {
      const [next, fields] = await this.primary.ask((redis) => redis.hscan(this.key('d:', room), cursor, 'COUNT', PAGE))
      const users = fields.filter((userId, place) => place % 2 === 0 && userId !== '')
      const found = await this.primary.ask((redis) =>
        Promise.all(users.map((userId) => redis.zrange(this.key('u:', userId), '0', '-1', 'WITHSCORES'))),
      )
      // While the hash changes, a user may be told twice.
      for (const place of found.flatMap(placesOf)) places.set(place.connectionId, place)
      cursor = next
    } while (cursor !== '0')
    return [...places.values()]
  }

  private async *everybody(after: ListPlace | undefined): AsyncIterable<readonly string[]> {
    for (let last = after; ; ) {
      const from = last === undefined ? '-inf' : `${last.since}`
      const page = placesOf(
        await this.primary.ask((redis) =>
          redis.zrange(this.key('', 'connections'), from, '+inf', 'BYSCORE', 'LIMIT', 0, PAGE, 'WITHSCORES'),
        ),
      )
      const ids = behind(page, last).map(({ connectionId }) => connectionId)
      if (ids.length > 0) yield ids
      if (page.length < PAGE || ids.length === 0) return
      last = page.at(-1)
    }
  }

  private async read(connectionIds: readonly string[], { room }: Lookup = {}): Promise<Listed[]> {
    const hashes = await this.primary.ask((redis) =>
      readAll(
        redis,
        connectionIds.map((id) => this.key('c:', id)),
      ),
    )
    const found = connectionIds.flatMap((id, place) => listedOf(id, hashes[place] ?? {}))
    return room === undefined ? found : found.filter(({ rooms }) => rooms.includes(room))
  }

  private key(kind: string, name: string): string {
    return `${this.prefix}${kind}${name}`
  }
}

/** Without the client's automatic pipelines this would be a write for each. */
async function readAll(redis: Redis, keys: readonly string[]): Promise<Record<string, string>[]> {
  return await Promise.all(keys.map((key) => redis.hgetall(key)))
}

/** A connection of which this is written down; none where it has no place. */
export function listedOf(connectionId: string, hash: Record<string, string>): Listed[] {
  const { i: instance, u: userId, v: deviceId = '', j: record, s: since, x: vacated } = hash
  // It went while the list was being read, or is gone and stays in its rooms for a while.
  if (instance === undefined || userId === undefined || vacated !== undefined) return []
  const rooms = Object.keys(hash).flatMap((field) => (field.startsWith('r:') ? [field.slice(2)] : []))
  const parsed = record === undefined || record === '' ? undefined : (JSON.parse(record) as ConnectionRecord)
  const listed = { connectionId, instance, userId, deviceId, since: Number(since), rooms }
  return [{ ...listed, record: parsed && { ...parsed, rooms } }]
}

/** Reads names with their scores. */
function placesOf(reply: readonly string[]): ListPlace[] {
  const places = []
  for (let n = 0; n < reply.length; n += 2) places.push({ connectionId: reply[n] ?? '', since: Number(reply[n + 1]) })
  return places
}

function behind(places: readonly ListPlace[], after: ListPlace | undefined): ListPlace[] {
  const wanted = after === undefined ? [...places] : places.filter((place) => byAge(place, after) > 0)
  return wanted.sort(byAge)
}
