/** The connections: a list, one, and their end. */
import { Elysia, type Static, t } from 'elysia'
import { limitKey, normaliseAddress } from '../auth/proxies.ts'
import type { ListPlace } from '../core/ports/directory.ts'
import { type ConnectionFilter, findConnections, pageOfConnections, recordsOf } from '../core/queries.ts'
import { TidingsError } from '../protocol/errors.ts'
import { adminOnly } from './admin-guard.ts'
import type { HttpDeps } from './deps.ts'
import { fromPosition, invalidPosition, onlyKnown, pageSize, toPosition } from './input.ts'
import {
  ConnectionRecord,
  Count,
  Disconnected,
  describedAsAdmin,
  failures,
  Identifier,
  PageOf,
  paging,
  RoomName,
  State,
  Transport,
} from './schemas.ts'

const Ip = t.String({ description: 'The address of the client, as records tell it.' })

const filters = {
  user_id: t.Optional(Identifier('Connections of this user.')),
  device_id: t.Optional(Identifier('Connections of this device; with `user_id` of that user alone.')),
  room: t.Optional(RoomName),
  ip: t.Optional(Ip),
  transport: t.Optional(Transport),
}

const ListQuery = t.Object({ ...filters, state: t.Optional(State), ...paging })

const Reconnect = t.Optional(
  t.Boolean({ default: false, description: 'Tells the clients that they may come back; else that they should not.' }),
)

const BulkQuery = t.Object({
  ...filters,
  older_than: t.Optional(
    t.String({
      pattern: '^\\d{1,12}(ms|s|m|h|d)$',
      description:
        'Connections that have been there for at least this long: a whole number and `ms`, `s`, `m`, `h` or `d`, such as `1h`.',
    }),
  ),
  all: t.Optional(t.Boolean({ default: false, description: 'Every connection. Needed where there is no filter.' })),
  dry_run: t.Optional(t.Boolean({ default: false, description: 'Only counts.' })),
  reconnect: Reconnect,
})

/** Milliseconds of each unit of a duration. */
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

export function connectionRoutes(deps: HttpDeps) {
  const { hub } = deps
  const params = t.Object({ id: t.String({ description: 'A `connection_id`.' }) })
  return new Elysia(describedAsAdmin('connections'))
    .use(adminOnly(deps))
    .get(
      '/realtime/connections',
      async ({ request, query }) => {
        onlyKnown(request, Object.keys(ListQuery.properties))
        const page = await pageOfConnections(hub, filterOf(query), positionOf(query.after), pageSize(query.limit))
        const { last } = page
        return {
          items: recordsOf(hub, page.items),
          next: last === undefined ? null : toPosition(last.since, last.connectionId),
        }
      },
      {
        query: ListQuery,
        response: { 200: PageOf(ConnectionRecord, 'Connections'), ...failures(400, 401) },
        detail: {
          operationId: 'listConnections',
          summary: 'Lists connections, oldest first',
          description: 'Filters are combined: a connection matches all of them.',
        },
      },
    )
    .get(
      '/realtime/connections/:id',
      async ({ params: { id } }) => {
        const listed = await hub.backend.directory.find(id)
        const [record] = listed === undefined ? [] : recordsOf(hub, [listed])
        if (record === undefined) throw new TidingsError('not_found')
        return record
      },
      {
        params,
        response: { 200: ConnectionRecord, ...failures(401, 404) },
        detail: { operationId: 'getConnection', summary: 'One connection' },
      },
    )
    .delete(
      '/realtime/connections/:id',
      async ({ request, admin, params: { id }, query: { reconnect = false } }) => {
        onlyKnown(request, ['reconnect'])
        const listed = await hub.backend.directory.find(id)
        return admin.act(
          'disconnect_connection',
          { connection_id: id, reconnect, ...(listed && { user_id: listed.userId }) },
          async () => ({ disconnected: await hub.disconnects.end(listed === undefined ? [] : [listed], reconnect) }),
          (result) => result,
        )
      },
      {
        params,
        query: t.Object({ reconnect: Reconnect }),
        response: { 200: Disconnected, ...failures(400, 401, 503) },
        detail: {
          operationId: 'disconnectConnection',
          summary: 'Ends one connection',
          description: 'The client is told `disconnected` and closed with 4003. One that is gone already counts 0.',
        },
      },
    )
    .delete(
      '/realtime/connections',
      async ({ request, admin, query }) => {
        onlyKnown(request, Object.keys(BulkQuery.properties))
        const { all = false, dry_run = false, reconnect = false, ...named } = query
        const filter = filterOf(named)
        const filtered = Object.values(filter).some((value) => value !== undefined)
        if (filtered === all) {
          throw new TidingsError(
            'invalid_message',
            'Either a filter is needed, or all=true where every connection is meant',
          )
        }
        if (dry_run) return { would_disconnect: await countOf(findConnections(hub, filter)) }
        return admin.act(
          'disconnect_connections',
          { ...named, ...(all && { all }), reconnect },
          async () => ({ disconnected: await hub.disconnects.end(findConnections(hub, filter), reconnect) }),
          (result) => result,
        )
      },
      {
        query: BulkQuery,
        response: {
          200: t.Union([
            Disconnected,
            t.Object(
              { would_disconnect: Count('Connections that would be ended.') },
              { title: 'WouldDisconnect', description: 'The answer to `dry_run=true`.' },
            ),
          ]),
          ...failures(400, 401, 503),
        },
        detail: {
          operationId: 'disconnectConnections',
          summary: 'Ends every connection that matches',
          description:
            'At least one filter, or `all=true`; not both. Filters are combined. Names that are not known are refused: a filter with a typing error would be no filter.',
        },
      },
    )
}

type Named = Partial<Omit<Static<typeof BulkQuery>, 'all' | 'dry_run' | 'reconnect'> & Static<typeof ListQuery>>

function filterOf(query: Named): ConnectionFilter {
  const ip = query.ip === undefined ? undefined : normaliseAddress(query.ip)
  return {
    userId: query.user_id,
    deviceId: query.device_id,
    room: query.room,
    ip,
    addressKey: ip === undefined ? undefined : limitKey(ip),
    transport: query.transport,
    state: query.state,
    olderThanMs: query.older_than === undefined ? undefined : millisecondsOf(query.older_than),
  }
}

/** Of a text that the schema has let through. */
function millisecondsOf(duration: string): number {
  const unit = duration.replace(/^\d+/, '')
  return Number.parseInt(duration, 10) * (UNITS[unit] ?? Number.NaN)
}

function positionOf(after: string | undefined): ListPlace | undefined {
  if (after === undefined) return undefined
  const [since, connectionId] = fromPosition(after)
  if (typeof since !== 'number' || typeof connectionId !== 'string') throw invalidPosition()
  return { since, connectionId }
}

async function countOf(pages: AsyncIterable<readonly unknown[]>): Promise<number> {
  let count = 0
  for await (const page of pages) count += page.length
  return count
}
