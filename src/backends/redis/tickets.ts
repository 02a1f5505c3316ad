/** Tickets that any instance takes. They expire by themselves. */
import type { Ticket, Tickets } from '../../core/ports/tickets.ts'
import type { Keys } from './keys.ts'
import type { Primary } from './primary.ts'
import { Script } from './script.ts'

/** KEYS: the ticket. ARGV: who must hold it, or nothing; the new ticket; milliseconds kept. */
const PASS = new Script(`
local held = redis.call('HGET', KEYS[1], 'holder')
if not held or held ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'holder', ARGV[2], 'ticket', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`)

/** KEYS: the ticket. ARGV: the ticket; milliseconds kept. */
const ADD = new Script(`
redis.call('HSET', KEYS[1], 'holder', '', 'ticket', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`)

/** KEYS: the ticket. ARGV: who must hold it; milliseconds kept. */
const KEEP = new Script(`
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return redis.call('DEL', KEYS[1])
`)

export class RedisTickets implements Tickets {
  private readonly primary: Primary
  private readonly keys: Keys

  constructor(primary: Primary, keys: Keys) {
    this.primary = primary
    this.keys = keys
  }

  async add(id: string, ticket: Ticket, ttlMs: number): Promise<void> {
    await this.primary.ask((redis) =>
      ADD.run(redis, [this.keys.ticket(id)], [JSON.stringify(ticket), Math.ceil(ttlMs)]),
    )
  }

  async get(id: string): Promise<Ticket | undefined> {
    const text = await this.primary.ask((redis) => redis.hget(this.keys.ticket(id), 'ticket'))
    return text === null ? undefined : (JSON.parse(text) as Ticket)
  }

  async pass(id: string, from: string | undefined, ticket: Ticket, ttlMs: number): Promise<boolean> {
    const args = [from ?? '', ticket.holder?.connectionId ?? '', JSON.stringify(ticket), Math.ceil(ttlMs)]
    return (await this.primary.ask((redis) => PASS.run(redis, [this.keys.ticket(id)], args))) === 1
  }

  /** What cannot be reached now expires by itself, so that nobody has to wait for it. */
  async keep(id: string, holder: string, ttlMs: number): Promise<void> {
    const args = [holder, Math.ceil(ttlMs)]
    await this.primary.ask((redis) => KEEP.run(redis, [this.keys.ticket(id)], args)).catch(() => {})
  }
}
