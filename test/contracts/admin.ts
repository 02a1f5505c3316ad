/** The admin API as backends and operators use it, over any way to run the server. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ADMIN_KEY, ask, unique as name, refused, told } from '../http/api.ts'
import { until } from '../support/until.ts'
import type { Driver, Host } from './driver.ts'

interface Connections {
  readonly items: readonly { readonly device_id: string; readonly connected_at: number }[]
  readonly next: string | null
}

interface Rooms {
  readonly items: { room: string; participant_count: number; connections: number }[]
  readonly next: string | null
}

export function adminContract(driver: Driver): void {
  let host: Host
  beforeAll(async () => {
    host = await driver.start({ admin: { keys: [ADMIN_KEY] }, limits: { per_user: 0 } })
  })
  afterAll(() => host[Symbol.asyncDispose]())

  const get = (path: string) => told(host.url, 'GET', path)
  const del = (path: string) => told(host.url, 'DELETE', path)
  const post = (path: string, body?: unknown) => told(host.url, 'POST', path, { body })

  describe(`${driver.name}: connections`, () => {
    test('are told with everything that is known of them', async () => {
      const user = name('user')
      const room = name('room')
      await using client = await host.connect({
        user,
        device: 'laptop',
        name: 'Alice',
        roles: ['editor'],
        meta: { theme: 'dark' },
        rooms: [room],
        headers: { 'user-agent': 'probe/1' },
      })
      const { connection_id } = client.welcome.payload as { connection_id: string }
      const record = {
        connection_id,
        user_id: user,
        device_id: 'laptop',
        username: 'Alice',
        roles: ['editor'],
        state: 'open',
        transport: 'websocket',
        format: driver.format,
        ip: '127.0.0.1',
        user_agent: 'probe/1',
        connected_at: expect.any(Number),
        last_seen: expect.any(Number),
        rooms: [room],
        metadata: { theme: 'dark' },
        counters: { frames_in: 0, bytes_in: 0, frames_out: expect.any(Number), pending_bytes: 0 },
      }
      expect(await get(`/realtime/connections/${connection_id}`)).toEqual({ status: 200, body: record })
      expect(await get(`/realtime/connections?user_id=${user}`)).toEqual({
        status: 200,
        body: { items: [record], next: null },
      })
    })

    test('are found by all filters together, and by none of them alone', async () => {
      const [user, room] = [name('user'), name('room')]
      await using _phone = await host.connect({ user, device: 'phone', rooms: [room] })
      await using _laptop = await host.connect({ user, device: 'laptop' })
      await using _other = await host.connect({ user: name('user'), device: 'phone', rooms: [room] })
      const devices = async (query: string) => {
        const { body } = await get(`/realtime/connections?${query}`)
        return (body as { items: { device_id: string }[] }).items.map(({ device_id }) => device_id).sort()
      }
      expect(await devices(`user_id=${user}`)).toEqual(['laptop', 'phone'])
      expect(await devices(`room=${room}`)).toEqual(['phone', 'phone'])
      expect(await devices(`room=${room}&user_id=${user}`)).toEqual(['phone'])
      expect(await devices(`user_id=${user}&device_id=laptop`)).toEqual(['laptop'])
      expect(await devices(`user_id=${user}&device_id=laptop&room=${room}`)).toEqual([])
      expect(await devices(`user_id=${user}&ip=127.0.0.1&transport=websocket&state=open`)).toEqual(['laptop', 'phone'])
      expect(await devices(`user_id=${user}&ip=192.0.2.1`)).toEqual([])
      expect(await devices(`user_id=${user}&transport=sse`)).toEqual([])
      expect(await devices(`user_id=${user}&state=draining`)).toEqual([])
      expect(await devices(`room=${name('room')}`)).toEqual([])
    })

    test('come in pages, oldest first, each once, also where some leave meanwhile', async () => {
      const room = name('room')
      const clients = []
      for (let i = 0; i < 7; i++)
        clients.push(await host.connect({ user: name('user'), device: `d${i}`, rooms: [room] }))
      const seen: string[] = []
      const times: number[] = []
      let after = ''
      for (let page = 0; page < 4; page++) {
        const { body } = await get(`/realtime/connections?room=${room}&limit=2${after}`)
        const { items, next } = body as Connections
        seen.push(...items.map(({ device_id }) => device_id))
        times.push(...items.map(({ connected_at }) => connected_at))
        // The last of the page itself goes: the next page begins where it would have been.
        if (page === 0) await del(`/realtime/connections?room=${room}&device_id=${items.at(-1)?.device_id}`)
        if (next === null) break
        after = `&after=${next}`
      }
      expect(seen.toSorted()).toEqual(['d0', 'd1', 'd2', 'd3', 'd4', 'd5', 'd6'])
      expect(times).toEqual(times.toSorted((a, b) => a - b))
      for (const client of clients) await client.close()
    })

    test('are 50 on a page unless another number is asked for', async () => {
      const limits = ['0', '1001', '-1', '1.5', 'many', '']
      for (const limit of limits) {
        expect(await refused(host.url, 'GET', `/realtime/connections?limit=${limit}`)).toMatchObject({
          status: 400,
          error: { code: 'RT_004', error_code: 'invalid_message' },
        })
        expect((await ask(host.url, 'GET', `/realtime/rooms?limit=${limit}`)).status).toBe(400)
      }
      expect(await get('/realtime/connections?limit=1000')).toMatchObject({ status: 200 })
    })

    test('are not listed from a place that no page has named', async () => {
      const madeUp = ['x', 'W10', 'WyJhIiwxXQ', '%00', 'bnVsbA']
      for (const after of madeUp) {
        expect(await refused(host.url, 'GET', `/realtime/connections?after=${after}`)).toMatchObject({
          status: 400,
          error: { error_code: 'invalid_message', details: { field: 'after' } },
        })
      }
    })

    test('that nobody has are not found', async () => {
      expect(await refused(host.url, 'GET', '/realtime/connections/nobody')).toEqual({
        status: 404,
        error: { code: 'RT_005', error_code: 'not_found', message: 'Not found', reconnect: false },
      })
    })

    test('end one by one, told why and whether to come back', async () => {
      for (const reconnect of [false, true]) {
        const client = await host.connect({ user: name('user') })
        const { connection_id } = client.welcome.payload as { connection_id: string }
        const path = `/realtime/connections/${connection_id}`
        expect(await del(`${path}?reconnect=${reconnect}`)).toEqual({ status: 200, body: { disconnected: 1 } })
        expect((await client.next('error')).payload).toMatchObject({ error_code: 'disconnected', reconnect })
        expect(await client.closed).toEqual({ code: 4003, reason: 'disconnected' })
        expect(await del(path)).toEqual({ status: 200, body: { disconnected: 0 } })
      }
    })

    test('end together by a filter, which can be tried first', async () => {
      const room = name('room')
      const members = await Promise.all([1, 2, 3].map(() => host.connect({ user: name('user'), rooms: [room] })))
      await using bystander = await host.connect({ user: name('user') })
      expect(await del(`/realtime/connections?room=${room}&dry_run=true`)).toEqual({
        status: 200,
        body: { would_disconnect: 3 },
      })
      for (const member of members)
        expect(await member.received()).not.toContainEqual(expect.objectContaining({ type: 'error' }))
      expect(await del(`/realtime/connections?room=${room}`)).toEqual({ status: 200, body: { disconnected: 3 } })
      for (const member of members) expect(await member.closed).toEqual({ code: 4003, reason: 'disconnected' })
      expect((await bystander.request({ type: 'ping' })).type).toBe('pong')
    })

    test('end by their age', async () => {
      const user = name('user')
      const client = await host.connect({ user })
      expect(await del(`/realtime/connections?user_id=${user}&older_than=1h`)).toMatchObject({
        body: { disconnected: 0 },
      })
      expect(await del(`/realtime/connections?user_id=${user}&older_than=0ms`)).toMatchObject({
        body: { disconnected: 1 },
      })
      await client.closed
      for (const age of ['1', 'h', '-1h', '1y', '1h30m', '']) {
        expect(await refused(host.url, 'DELETE', `/realtime/connections?older_than=${age}`)).toMatchObject({
          status: 400,
          error: { details: { field: 'older_than' } },
        })
      }
    })

    // A filter with a typing error is no filter, and "no filter" would be everybody.
    test('do not end by what is no filter', async () => {
      await using client = await host.connect({ user: name('user') })
      const attempts = [
        '',
        '?',
        '?all=false',
        '?dry_run=true',
        '?reconnect=true',
        '?userid=alice',
        '?user_id=alice&devic_id=phone',
        '?user_id=alice&user_id=bob',
        '?user_id=',
        '?all=true&user_id=alice',
        '?all=yes',
        '?state=open',
        '?room=a%20b',
        '?transport=carrier-pigeon',
      ]
      for (const query of attempts) {
        expect(await refused(host.url, 'DELETE', `/realtime/connections${query}`), query).toMatchObject({
          status: 400,
          error: { code: 'RT_004', error_code: 'invalid_message', reconnect: false },
        })
      }
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
    })
  })

  describe(`${driver.name}: users`, () => {
    test('are told with their devices', async () => {
      const user = `${name('user')}@example.org/Ünï`
      const path = `/realtime/users/${encodeURIComponent(user)}`
      const away = { online: false, connections: 0, devices: [], last_seen: null, pending: 0 }
      expect(await get(path)).toEqual({ status: 200, body: away })
      const tab = await host.connect({ user, device: 'laptop' })
      await using _tab = await host.connect({ user, device: 'laptop' })
      await using _phone = await host.connect({ user, device: 'phone' })
      const seen = expect.any(Number)
      const devices = (laptop: number) => [
        { device_id: 'laptop', connections: laptop, last_seen: seen },
        { device_id: 'phone', connections: 1, last_seen: seen },
      ]
      const body = { online: true, connections: 3, devices: devices(2), last_seen: seen, pending: 0 }
      expect(await get(path)).toEqual({ status: 200, body })
      await tab.close()
      await until(async () => ((await get(path)).body as { connections: number }).connections === 2)
      expect(await get(path)).toEqual({ status: 200, body: { ...body, connections: 2, devices: devices(1) } })
    })

    test('have as many messages pending as none of their devices has acknowledged', async () => {
      const user = name('user')
      const pending = async () => ((await get(`/realtime/users/${user}`)).body as { pending: number }).pending
      await post('/realtime/publish', { to: { user_id: user }, type: 'news', payload: 1 })
      await post('/realtime/publish', { to: { user_id: user }, type: 'news', payload: 2 })
      await post('/realtime/publish', { to: { user_id: user }, type: 'typing', ephemeral: true })
      expect(await pending()).toBe(2)
      await using client = await host.connect({ user, device: 'phone', query: { ack: 'explicit' } })
      const first = await client.next('news')
      client.send({ type: 'ack', payload: { cursor: first.cursor } })
      await until(async () => (await pending()) === 1)
    })

    test('are disconnected from everywhere at once', async () => {
      const user = name('user')
      const clients = await Promise.all(['a', 'b'].map((device) => host.connect({ user, device })))
      expect(await post(`/realtime/users/${user}/disconnect?reconnect=true`)).toEqual({
        status: 200,
        body: { disconnected: 2 },
      })
      for (const client of clients) {
        expect((await client.next('error')).payload).toMatchObject({ error_code: 'disconnected', reconnect: true })
        expect(await client.closed).toEqual({ code: 4003, reason: 'disconnected' })
      }
      expect(await post(`/realtime/users/${user}/disconnect`)).toEqual({ status: 200, body: { disconnected: 0 } })
    })

    test('may be called __proto__ or constructor', async () => {
      for (const user of ['__proto__', 'constructor', 'toString']) {
        expect(await get(`/realtime/users/${user}`)).toMatchObject({ body: { online: false, devices: [] } })
        await using _client = await host.connect({ user, device: user, rooms: [`${user}`] })
        expect(await get(`/realtime/users/${user}`)).toMatchObject({
          body: { online: true, connections: 1, devices: [{ device_id: user, connections: 1 }] },
        })
        expect(await get(`/realtime/rooms/${user}`)).toMatchObject({ status: 200, body: { room: user } })
      }
    })
  })

  describe(`${driver.name}: rooms`, () => {
    test('are listed by name, in pages', async () => {
      const prefix = name('listed')
      const [first, second] = [`${prefix}.a`, `${prefix}.b`]
      const user = name('user')
      await using _client = await host.connect({ user, rooms: [second, first] })
      await using _tab = await host.connect({ user, rooms: [second] })
      const all: Rooms['items'] = []
      let next: string | null = ''
      while (next !== null) {
        const { body } = await get(`/realtime/rooms?limit=1${next === '' ? '' : `&after=${next}`}`)
        const page = body as Rooms
        all.push(...page.items)
        next = page.next
      }
      expect(all.filter(({ room }) => room.startsWith(prefix))).toEqual([
        { room: first, participant_count: 1, connections: 1 },
        { room: second, participant_count: 1, connections: 2 },
      ])
      expect(all.map(({ room }) => room)).toEqual(all.map(({ room }) => room).sort())
    })

    test('are told as their members see them, and are gone when nobody and nothing is there', async () => {
      const room = name('room')
      expect(await refused(host.url, 'GET', `/realtime/rooms/${room}`)).toMatchObject({
        status: 404,
        error: { code: 'RT_005' },
      })
      const client = await host.connect({ user: 'alice', name: 'Alice', rooms: [room] })
      const empty = {
        room,
        participants: [{ id: 'alice', username: 'Alice' }],
        participant_count: 1,
        state: {},
        version: 0,
        cursor: expect.stringMatching(/^\d{16,}$/),
      }
      expect(await get(`/realtime/rooms/${room}`)).toEqual({ status: 200, body: empty })
      const patch = { picture: { $bin: 'AAEC' }, track: 7 }
      await client.request({ type: 'set_room_state', payload: { room, patch } })
      const left = client.closed
      await client.close()
      await left
      await host.logged('connection_closed', {
        connection_id: (client.welcome.payload as { connection_id: string }).connection_id,
      })
      // The state outlives its members for a while.
      expect(await get(`/realtime/rooms/${room}`)).toEqual({
        status: 200,
        body: {
          ...empty,
          participants: [],
          participant_count: 0,
          state: expect.objectContaining({ track: 7 }),
          version: 1,
        },
      })
    })

    test('have names of the one grammar', async () => {
      for (const bad of ['a%20b', 'a%00', 'x'.repeat(129), '%EF%BD%81', 'a%2Fb']) {
        const { status } = await ask(host.url, 'GET', `/realtime/rooms/${bad}`)
        expect(status, bad).toBe(400)
      }
    })
  })

  describe(`${driver.name}: publishing`, () => {
    test('reaches a room, a user, a device or everybody, without a sender', async () => {
      const [user, room] = [name('user'), name('room')]
      await using phone = await host.connect({ user, device: 'phone', rooms: [room] })
      await using laptop = await host.connect({ user, device: 'laptop' })
      const targets = [
        { to: { room }, online: 1, reached: [phone] },
        { to: { user_id: user }, online: 2, reached: [phone, laptop] },
        { to: { user_id: user, device_id: 'laptop' }, online: 1, reached: [laptop] },
        { to: 'all', online: expect.any(Number), reached: [phone, laptop] },
        { to: { user_id: name('nobody') }, online: 0, reached: [] },
        { to: { room: name('empty') }, online: 0, reached: [] },
      ]
      for (const { to, online, reached } of targets) {
        const { status, body } = await post('/realtime/publish', { to, type: 'news', payload: { n: 1 } })
        const stored = typeof to === 'object' && 'user_id' in to && { cursor: expect.stringMatching(/^\d{16}$/) }
        expect({ status, body }).toEqual({ status: 200, body: { id: expect.any(String), online, ...stored } })
        for (const client of [phone, laptop]) {
          const news = (await client.received()).filter(({ type }) => type === 'news')
          const frame = {
            type: 'news',
            payload: { n: 1 },
            id: (body as { id: string }).id,
            ...(stored && { cursor: (body as { cursor: string }).cursor }),
            timestamp: expect.any(Number),
            ...(to !== 'all' && typeof to === 'object' && 'room' in to && { room: to.room }),
          }
          expect(news).toEqual((reached as unknown[]).includes(client) ? [frame] : [])
        }
      }
    })

    test('takes users by number, and data in place of payload', async () => {
      await using client = await host.connect({ user: 4711, device: 'd' })
      await post('/realtime/publish', { to: { user_id: 4711 }, type: 'news', data: [1] })
      expect((await client.next('news')).payload).toEqual([1])
    })

    test('carries bytes', async () => {
      const user = name('user')
      await using client = await host.connect({ user })
      await post('/realtime/publish', {
        to: { user_id: user },
        type: 'sample',
        payload: { wave: { $bin: 'AAEC/w==' } },
      })
      expect((await client.next('sample')).payload).toEqual({ wave: new Uint8Array([0, 1, 2, 255]) })
    })

    test('gives the first answer to a repeated key, and delivers once', async () => {
      const user = name('user')
      await using client = await host.connect({ user })
      const message = { to: { user_id: user }, type: 'order', payload: 1, idempotency_key: name('key') }
      const first = await post('/realtime/publish', message)
      const second = await post('/realtime/publish', { ...message, payload: 2 })
      expect(second).toEqual(first)
      expect((await client.received()).filter(({ type }) => type === 'order')).toHaveLength(1)
    })

    test('keeps the keys of one backend apart from those of another', async () => {
      const user = name('user')
      await using client = await host.connect({ user })
      const body = { to: { user_id: user }, type: 'order', payload: 1, idempotency_key: name('key') }
      const other = await host.token({ user: 'billing', roles: ['admin'] })
      const first = await told(host.url, 'POST', '/realtime/publish', { body })
      const second = await told(host.url, 'POST', '/realtime/publish', { body, token: other })
      expect([first.status, second.status]).toEqual([200, 200])
      expect((await client.received()).filter(({ type }) => type === 'order')).toHaveLength(2)
    })

    test('gathers answers and counts those that are missing', async () => {
      const room = name('room')
      await using willing = await host.connect({ user: name('user'), rooms: [room] })
      await using _silent = await host.connect({ user: name('user'), rooms: [room] })
      const key = name('key')
      const message = { to: { room }, type: 'vote', payload: null, ack: { timeout_ms: 300 }, idempotency_key: key }
      const asked = post('/realtime/publish', message)
      const question = await willing.next('vote')
      const result = { choice: new Uint8Array([7]) }
      willing.send({ type: 'ack', payload: { correlation_id: question.ack_id, result } })
      const { connection_id } = willing.welcome.payload as { connection_id: string }
      const answer = {
        status: 200,
        body: { id: question.id, online: 2, acks: [{ connection_id, result }], missing: 1 },
      }
      expect(await asked).toEqual(answer as never)
      // A retry asks nobody again.
      expect(await post('/realtime/publish', message)).toEqual(answer as never)
      expect((await willing.received()).filter(({ type }) => type === 'vote')).toEqual([])
    })

    test('refuses what is not a message, naming the field', async () => {
      const to = { room: 'lobby' }
      const bad: [body: unknown, field: string][] = [
        [{ type: 'x' }, 'to'],
        [{ to, type: '' }, 'type'],
        [{ to, type: 'two words' }, 'type'],
        [{ to, type: 'x'.repeat(65) }, 'type'],
        [{ to: { room: 'a b' }, type: 'x' }, 'to'],
        [{ to: { room: 5 }, type: 'x' }, 'to'],
        [{ to: { user_id: '' }, type: 'x' }, 'to'],
        [{ to: { user_id: 'a\u0000b' }, type: 'x' }, 'to.user_id'],
        [{ to: { device_id: 'd' }, type: 'x' }, 'to'],
        [{ to: 'everybody', type: 'x' }, 'to'],
        [{ to, type: 'x', ack: { timeout_ms: 60_001 } }, 'ack.timeout_ms'],
        [{ to, type: 'x', ack: {} }, 'ack.timeout_ms'],
        [{ to, type: 'x', idempotency_key: '' }, 'idempotency_key'],
        [{ to, type: 'x', ephemeral: 'yes' }, 'ephemeral'],
      ]
      for (const [body, field] of bad) {
        const { status, error } = await refused(host.url, 'POST', '/realtime/publish', { body })
        expect({ status, code: error['error_code'], details: error['details'] }, JSON.stringify(body)).toEqual({
          status: 400,
          code: 'invalid_message',
          details: { field },
        })
      }
    })

    test("refuses the protocol's own types: nobody can forge an error to others", async () => {
      for (const type of ['error', 'welcome', 'join_room', 'ack', 'user_joined_room', 'gap']) {
        expect(await refused(host.url, 'POST', '/realtime/publish', { body: { to: 'all', type } })).toMatchObject({
          status: 403,
          error: { code: 'RT_003', error_code: 'forbidden' },
        })
      }
    })

    test('in a batch keeps the order, and one that fails does not fail the others', async () => {
      const user = name('user')
      await using client = await host.connect({ user })
      const to = { user_id: user }
      const batch = [
        { to, type: 'step', payload: 1 },
        { to, type: 'error' },
        'nonsense',
        { to, type: 'step', payload: 2 },
      ]
      const { status, body } = await post('/realtime/publish/batch', batch)
      const outcome = { id: expect.any(String), cursor: expect.any(String), online: 1 }
      const failed = (error_code: string) => ({
        error: expect.objectContaining({ error_code, correlation_id: expect.any(String) }),
      })
      expect({ status, body }).toEqual({
        status: 200,
        body: [outcome, failed('forbidden'), failed('invalid_message'), outcome],
      })
      const steps = (await client.received()).filter(({ type }) => type === 'step')
      expect(steps.map(({ payload }) => payload)).toEqual([1, 2])
      expect(await post('/realtime/publish/batch', [])).toEqual({ status: 200, body: [] })
      expect(await post('/realtime/publish/batch', { to, type: 'step' })).toMatchObject({ status: 400 })
    })
  })
}
