/** Where Redis is, read from one URL: a server, or a group of sentinels that know which one is the primary. */
import type { RedisOptions } from 'ioredis'
import { BackendError } from './backend-error.ts'

/** A sentinel's port where the URL names none. */
const SENTINEL_PORT = 26_379
const REDIS_PORT = 6379

const SCHEME = /^(redis|rediss)(\+sentinel)?:\/\/(?:([^@/]*)@)?([^/?#]+)((?:\/[^/?#]*)*)$/

/** What the client needs to connect, and how the place is called in lines for an operator: without its password. */
export interface Address {
  readonly options: RedisOptions
  readonly name: string
}

/**
 * Reads `redis://`, `rediss://` (TLS), each with `user:password@` and `/database`, and for a primary that sentinels name
 * `redis+sentinel://user:password@host:port,host:port/group/database`.
 * @throws BackendError with a line for the operator.
 */
export function parseAddress(url: string): Address {
  const [, scheme, sentinel, login = '', hosts = '', path = ''] = SCHEME.exec(url) ?? []
  if (scheme === undefined) throw new BackendError('redis.url is no URL of the form redis://user:password@host:port/0.')
  const parts = path.split('/').slice(1)
  const options: RedisOptions = { ...parseLogin(login), ...(scheme === 'rediss' && { tls: {} }) }
  if (sentinel !== undefined) {
    const [group, database] = parts
    if (group === undefined || group === '')
      throw new BackendError('redis.url names no group: redis+sentinel://host:26379,host:26379/GROUP/0.')
    const sentinels = hosts.split(',').map((host) => parseHost(host, SENTINEL_PORT))
    return {
      options: {
        ...options,
        ...(options.tls && { enableTLSForSentinelMode: true, sentinelTLS: {} }),
        db: parseDatabase(database),
        sentinels,
        name: decode(group),
      },
      name: `the primary of ${decode(group)} by ${hosts}`,
    }
  }
  if (hosts.includes(','))
    throw new BackendError('redis.url names several servers: for a group with sentinels write redis+sentinel://.')
  return { options: { ...options, ...parseHost(hosts, REDIS_PORT), db: parseDatabase(parts[0]) }, name: hosts }
}

function parseLogin(login: string): RedisOptions {
  if (login === '') return {}
  const colon = login.indexOf(':')
  if (colon === -1) return { username: decode(login) }
  const username = decode(login.slice(0, colon))
  return { ...(username !== '' && { username }), password: decode(login.slice(colon + 1)) }
}

function parseHost(text: string, defaultPort: number): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined) throw new BackendError('redis.url has a host that is none: write host:port.')
  return { host, port: port === undefined ? defaultPort : Number(port) }
}

function parseDatabase(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (!/^\d{1,4}$/.test(text)) throw new BackendError('redis.url ends with a database that is no number.')
  return Number(text)
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new BackendError('redis.url has a % that stands for nothing: write %25 for a % in a name or password.')
  }
}
