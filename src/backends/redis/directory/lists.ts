/** Reads the directory: who is connected where, who is in which room. */
import type { Redis } from 'ioredis'
import type { Participant } from '../../../core/ports/backend.ts'
import type { Listed, Lookup } from '../../../core/ports/directory.ts'
import type { ConnectionRecord } from '../../../core/records.ts'
import type { Keys } from '../keys.ts'
import type { Primary } from '../primary.ts'

/** Connections read at once. */
const PAGE = 200

export class Lists {
  private readonly primary: Primary
  private readonly prefix: string

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.prefix = keys.prefix
  }

  participantsIn(room: string): Promise<number> {
    return this.primary.ask((redis) => redis.zcard(this.key('m:', room)))
  }

  async participants(room: string, limit: number): Promise<readonly Participant[]> {
    if (limit <= 0) return []
    return await this.primary.ask(async (redis) => {
      const users = await redis.zrange(this.key('m:', room), '0', `${limit - 1}`)
      if (users.length === 0) return []
      const held = await redis.hmget(this.key('d:', room), ...users)
      return users.map((id, place) => {
        const name = (held[place] ?? '').replace(/^\d+ /, '')
        return { id, username: name === '' ? undefined : name }
      })
    })
  }

  connectionsOf(userId: string): Promise<number> {
    return this.primary.ask((redis) => redis.zcard(this.key('u:', userId)))
  }

  async connectionsIn(room: string): Promise<number> {
    return Number((await this.primary.ask((redis) => redis.hget(this.key('d:', room), ''))) ?? 0)
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

  async *connections({ userId, addressKey, room }: Lookup): AsyncIterable<Listed> {
    if (userId !== undefined) yield* this.ofUser(userId)
    else if (addressKey !== undefined) yield* await this.ofAddress(addressKey)
    else if (room !== undefined) yield* this.inRoom(room)
    else yield* this.everybody()
  }

  private async *ofUser(userId: string): AsyncIterable<Listed> {
    yield* await this.read(await this.primary.ask((redis) => redis.zrange(this.key('u:', userId), '0', '-1')))
  }

  private async ofAddress(addressKey: string): Promise<Listed[]> {
    const found = await this.read(await this.primary.ask((redis) => redis.smembers(this.key('a:', addressKey))))
    return found.sort((a, b) => (a.record?.connected_at ?? 0) - (b.record?.connected_at ?? 0))
  }

  private async *inRoom(room: string): AsyncIterable<Listed> {
    for (let n = 0; ; n += PAGE) {
      const users = await this.primary.ask((redis) => redis.zrange(this.key('m:', room), `${n}`, `${n + PAGE - 1}`))
      const connections = await this.primary.ask((redis) =>
        Promise.all(users.map((userId) => redis.zrange(this.key('u:', userId), '0', '-1'))),
      )
      for (const listed of await this.read(connections.flat())) if (listed.rooms.includes(room)) yield listed
      if (users.length < PAGE) return
    }
  }

  private async *everybody(): AsyncIterable<Listed> {
    for (let after = '-inf'; ; ) {
      const page = await this.primary.ask((redis) =>
        redis.zrange(this.key('', 'connections'), after, '+inf', 'BYSCORE', 'LIMIT', 0, PAGE, 'WITHSCORES'),
      )
      yield* await this.read(page.filter((_, place) => place % 2 === 0))
      if (page.length < 2 * PAGE) return
      after = `(${page.at(-1)}`
    }
  }

  private async read(connectionIds: readonly string[]): Promise<Listed[]> {
    const hashes = await this.primary.ask((redis) =>
      readAll(
        redis,
        connectionIds.map((id) => this.key('c:', id)),
      ),
    )
    return connectionIds.flatMap((id, place) => listedOf(id, hashes[place] ?? {}))
  }

  private key(kind: string, name: string): string {
    return `${this.prefix}${kind}${name}`
  }
}

/** Without the client's automatic pipelines this would be a write for each. */
async function readAll(redis: Redis, keys: readonly string[]): Promise<Record<string, string>[]> {
  return await Promise.all(keys.map((key) => redis.hgetall(key)))
}

function listedOf(connectionId: string, hash: Record<string, string>): Listed[] {
  const { i: instance, u: userId, v: deviceId = '', j: record } = hash
  // It went while the list was being read.
  if (instance === undefined || userId === undefined) return []
  const rooms = Object.keys(hash).flatMap((field) => (field.startsWith('r:') ? [field.slice(2)] : []))
  const parsed = record === undefined || record === '' ? undefined : (JSON.parse(record) as ConnectionRecord)
  return [{ connectionId, instance, userId, deviceId, record: parsed && { ...parsed, rooms }, rooms }]
}
