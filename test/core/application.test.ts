import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { Type } from 'typebox'
import { AckTimeout, TidingsError } from '../../src/index.ts'
import { RefusedError, startTestServer } from '../../src/testing/index.ts'
import { tidings } from '../../src/tidings.ts'
import { payloadOf, types } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(20_000)

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

describe('middleware', () => {
  test.concurrent('runs around every frame in the order of adding, and sees built-in types and routed frames too', async () => {
    const seen: string[] = []
    const app = tidings()
      .use(async (context, next) => {
        seen.push(`a ${context.type}`)
        await next()
        seen.push('/a')
      })
      .use(async (_context, next) => {
        seen.push('b')
        await next()
        seen.push('/b')
      })
      .on('work', () => void seen.push('work'))
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    for (const frame of [{ type: 'work' }, { type: 'ping' }, { type: 'note', to: { user_id: 'bob' } }]) {
      await client.request(frame)
    }
    await until(() => seen.length === 13)
    expect(seen).toEqual(['a work', 'b', 'work', '/b', '/a', 'a ping', 'b', '/b', '/a', 'a note', 'b', '/b', '/a'])
  })

  test.concurrent('may refuse, and then nothing behind it runs', async () => {
    let ran = false
    const app = tidings()
      .use((context, next) => {
        if (context.type === 'work') throw new TidingsError('forbidden', 'Not today')
        return next()
      })
      .on('work', () => {
        ran = true
      })
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    expect((await client.request({ type: 'work' })).payload).toMatchObject({ code: 'RT_003', message: 'Not today' })
    expect((await client.request({ type: 'ping' })).type).toBe('pong')
    expect(ran).toBe(false)
  })

  test.concurrent('that throws is reported as middleware, a handler’s throw as the handler’s, each once', async () => {
    const reports: [string, string][] = []
    const app = tidings()
      .use(async (context, next) => {
        if (context.type === 'first') throw new Error('of the middleware')
        await next()
      })
      .on('second', () => {
        throw new Error('of the handler')
      })
      .onError((error, { stage }) => void reports.push([stage, (error as Error).message]))
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    for (const type of ['first', 'second']) {
      expect((await client.request({ type })).payload).toMatchObject({ error_code: 'internal_error' })
    }
    expect(reports).toEqual([
      ['middleware', 'of the middleware'],
      ['handler', 'of the handler'],
    ])
  })

  // The frame would be handled twice.
  test.concurrent('that calls next twice has made an error', async () => {
    let runs = 0
    const app = tidings()
      .use(async (_context, next) => {
        await next()
        await next()
      })
      .on('work', () => {
        runs++
      })
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    // Its first answer stands: a frame gets one.
    const answers = [(await client.request({ type: 'work' })).type, ...types(await client.received())]
    expect(answers).toEqual(['ack'])
    expect(runs).toBe(1)
    await server.logged('application_error', { stage: 'middleware' })
  })

  test.concurrent('that waits past the time of a frame gets it no further: the client has been answered', async () => {
    let ran = false
    const app = tidings()
      .use(async (context, next) => {
        if (context.type !== 'ping') await wait(200)
        await next()
      })
      .on('work', () => {
        ran = true
        return 1
      })
    await using server = await startTestServer({ app, config: { handlers: { timeout_ms: 50 } } })
    await using client = await server.connect({ user: 'alice' })
    await using other = await server.connect({ user: 'bob' })
    for (const frame of [{ type: 'work' }, { type: 'note', to: { user_id: 'bob' } }, { type: 'who_am_i' }]) {
      expect((await client.request(frame)).payload).toMatchObject({ error_code: 'handler_timeout' })
    }
    await wait(250)
    expect(await client.received()).toEqual([])
    expect(await other.received()).toEqual([])
    expect(ran).toBe(false)
  })
})

describe('a handler', () => {
  test.concurrent('may return anything that can be waited for, as queries of databases are', async () => {
    let runs = 0
    const query = {
      // biome-ignore lint/suspicious/noThenProperty: what such a query is.
      then(resolve: (rows: unknown) => void) {
        runs++
        resolve([{ id: 1 }])
      },
    }
    const app = tidings().on('rows', () => query)
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    expect((await client.request({ type: 'rows' })).payload).toEqual({ result: [{ id: 1 }] })
    expect(runs).toBe(1)
  })

  test.concurrent('whose result or message no frame can carry is told so, and nobody else hears of it', async () => {
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    const app = tidings()
      .on('circular', () => circular)
      .on('big', async () => 10n)
      .on('shout', { room: 'member' }, ({ room }) => room.publish('shouted', circular))
    await using server = await startTestServer({ app, config: { limits: { per_user: 0 } } })
    await using client = await server.connect({ user: 'alice', rooms: ['lobby'] })
    await using other = await server.connect({ user: 'bob', rooms: ['lobby'] })
    await client.received()
    for (const type of ['circular', 'big', 'shout']) {
      expect((await client.request({ type })).payload).toMatchObject({ error_code: 'internal_error' })
    }
    expect(await other.received()).toEqual([])
  })

  // A client believes what the server says: of a stored "position" or "error" it would draw conclusions.
  test.concurrent("cannot say what is the protocol's own", async () => {
    const app = tidings()
      .on('say', ({ payload, publish }) => publish({ user_id: 'bob' }, String(payload), 1))
      .on('shout', { room: 'member' }, ({ payload, room }) => room.broadcast(String(payload), 1))
      .on('ask', ({ payload, emitWithAck }) => emitWithAck(String(payload), 1, { timeoutMs: 1000 }))
    await using server = await startTestServer({ app })
    await using alice = await server.connect({ user: 'alice', rooms: ['lobby'] })
    await using bob = await server.connect({ user: 'bob', rooms: ['lobby'] })
    await alice.received()
    for (const word of ['error', 'position', 'join_room']) {
      for (const type of ['say', 'shout', 'ask']) {
        const { payload } = await alice.request({ type, payload: word })
        expect(payload, `${type} ${word}`).toMatchObject({ error_code: 'internal_error' })
      }
      await expect(app.publish({ user_id: 'bob' }, word, 1)).rejects.toThrow(`${word} is a type of the protocol's own`)
      await expect(app.emitWithAck({ user_id: 'bob' }, word, 1, { timeoutMs: 1000 })).rejects.toThrow(
        'choose another name',
      )
    }
    expect(await bob.received()).toEqual([])
  })

  test.concurrent('has a schema whose problems are told in short, however long the keys that clients make up', async () => {
    const app = tidings()
      .on('strict', { payload: Type.Object({ a: Type.Number() }, { additionalProperties: false }) }, () => 1)
      .on('open', { payload: Type.Record(Type.String(), Type.Number()) }, () => 1)
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice' })
    const long = 'k'.repeat(10_000)
    const refusal = async (type: string, payload: unknown) =>
      (await client.request({ type, payload })).payload as { message: string; details: { field: string } }
    expect(await refusal('strict', { a: 1, [long]: 2 })).toMatchObject({
      message: 'Invalid payload: must not have additional properties',
      details: { field: 'payload' },
    })
    const { message, details } = await refusal('open', { [long]: 'x' })
    expect(details.field).toStartWith('payload.kkk')
    expect(JSON.stringify({ message, details }).length).toBeLessThan(256)
  })

  test.concurrent('knows whose frame it is, and learns when its time is up', async () => {
    const told = Promise.withResolvers<unknown>()
    const app = tidings()
      .on('who', ({ user, correlationId, room, type }) => ({ user, correlationId, room: room?.name ?? null, type }))
      .on('long', async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        told.resolve(signal.aborted)
      })
      .on('log', ({ log }) => {
        log.info({ step: 1 })
        log.warn({ step: 2 })
        log.error({ step: 3 })
        log.debug({ step: 4 })
      })
    await using server = await startTestServer({ app, config: { handlers: { timeout_ms: 50 } } })
    await using client = await server.connect({ user: 'alice', device: 'd', name: 'Alice', roles: ['x'] })
    expect((await client.request({ type: 'who', id: 'w' })).payload).toEqual({
      result: {
        user: { id: 'alice', deviceId: 'd', username: 'Alice', roles: ['x'] },
        correlationId: 'w',
        room: null,
        type: 'who',
      },
    })
    expect((await client.request({ type: 'long' })).payload).toMatchObject({ error_code: 'handler_timeout' })
    expect(await told.promise).toBe(true)
    await client.request({ type: 'log', id: 'l' })
    const lines = server.lines.filter(({ event }) => event === 'handler')
    expect(lines.map(({ level, step, correlation_id, type }) => [level, step, correlation_id, type])).toEqual([
      ['info', 1, 'l', 'log'],
      ['warn', 2, 'l', 'log'],
      ['error', 3, 'l', 'log'],
      ['debug', 4, 'l', 'log'],
    ])
  })

  test.concurrent('is the only one of its type', () => {
    const app = tidings().on('once', () => 1)
    expect(() => app.on('once', () => 2)).toThrow('There is a handler for once already')
  })

  test.concurrent('with a time-out of 0 may take as long as it likes', async () => {
    const app = tidings().on('work', { payload: Type.Object({}) }, async () => {
      await wait(30)
      return 'done'
    })
    await using server = await startTestServer({ app, config: { handlers: { timeout_ms: 0 } } })
    await using client = await server.connect({ user: 'alice' })
    expect((await client.request({ type: 'work', payload: {} })).payload).toEqual({ result: 'done' })
  })
})

describe('outside of a handler', () => {
  test.concurrent('an application publishes, and asks', async () => {
    const app = tidings()
    await using server = await startTestServer({ app })
    await using alice = await server.connect({ user: 'alice', device: 'd', rooms: ['lobby'] })
    await using bob = await server.connect({ user: 'bob', rooms: ['lobby'] })
    await alice.received()
    await bob.received()
    await app.publish({ room: 'lobby' }, 'tick', 1)
    await app.publish({ user_id: 'alice' }, 'tick', 2)
    await app.publish({ user_id: 'alice', device_id: 'd' }, 'tick', 3)
    await app.publish('all', 'tick', 4)
    expect((await alice.received()).map(({ payload }) => payload)).toEqual([1, 2, 3, 4])
    expect((await bob.received()).map(({ payload }) => payload)).toEqual([1, 4])

    const asked = app.emitWithAck({ room: 'lobby' }, 'ready?', null, { timeoutMs: 10_000 })
    for (const [client, result] of [
      [alice, 'yes'],
      [bob, 'no'],
    ] as const) {
      const { ack_id } = await client.next('ready?')
      client.send({ type: 'ack', payload: { correlation_id: ack_id, result } })
    }
    const { answers, missing } = await asked
    expect([answers.map(({ result }) => result).sort(), missing]).toEqual([['no', 'yes'], 0])
  })

  test.concurrent('an ask ends with those who have answered in time, and without any it rejects', async () => {
    const app = tidings()
    await using server = await startTestServer({ app })
    await using alice = await server.connect({ user: 'alice', rooms: ['lobby'] })
    await using _silent = await server.connect({ user: 'bob', rooms: ['lobby'] })
    const asked = app.emitWithAck({ room: 'lobby' }, 'ready?', null, { timeoutMs: 150 })
    const { ack_id } = await alice.next('ready?')
    for (const result of [1, 2]) alice.send({ type: 'ack', payload: { correlation_id: ack_id, result } })
    expect(await asked).toMatchObject({ answers: [{ result: 1 }], missing: 1 })
    const nobody = app.emitWithAck({ user_id: 'nobody' }, 'ready?', null, { timeoutMs: 10_000 })
    expect(await nobody.catch((error) => error)).toBeInstanceOf(AckTimeout)
  })

  test.concurrent('nothing can be published before the server has started', async () => {
    expect(await tidings().publish('all', 'x', 1).catch(String)).toContain('has not started')
  })
})

describe('hooks', () => {
  test.concurrent('run around the life of a connection', async () => {
    const ended = Promise.withResolvers<unknown>()
    const app = tidings()
      .onConnect(async ({ session, join, metadata }) => {
        await wait(5)
        join(`home.${session.userId}`)
        metadata({ plan: 'pro' })
      })
      .onDisconnect(({ userId }, { code, reason, durationMs }) =>
        ended.resolve([userId, code, reason, durationMs >= 0]),
      )
    await using server = await startTestServer({ app })
    await using client = await server.connect({ user: 'alice', rooms: ['lobby'], meta: { theme: 'dark' } })
    expect(payloadOf(await client.request({ type: 'who_am_i' }))).toMatchObject({
      rooms: ['lobby', 'home.alice'],
      metadata: { theme: 'dark', plan: 'pro' },
    })
    await client.close(4000, 'bye')
    expect(await ended.promise).toEqual(['alice', 4000, 'bye', true])
  })

  test.concurrent('may refuse a connection, in their own words or by failing', async () => {
    const errors: unknown[] = []
    const app = tidings()
      .onConnect(({ session }) => {
        if (session.userId === 'banned') throw new TidingsError('forbidden', 'You are banned')
        if (session.userId === 'unlucky') throw new Error('the database is away')
      })
      .onError((error, { stage }) => void errors.push([stage, (error as Error).message]))
    await using server = await startTestServer({ app, config: { limits: { per_user: 1 } } })
    const refusal = async (user: string) => {
      const outcome = await server.connect({ user }).catch((error) => error)
      expect(outcome).toBeInstanceOf(RefusedError)
      return [outcome.error.error_code, outcome.error.message, outcome.closed.code]
    }
    expect(await refusal('banned')).toEqual(['forbidden', 'You are banned', 4003])
    expect(await refusal('unlucky')).toEqual(['internal_error', 'Internal error', 1011])
    // Again, because a slot that stayed taken would answer in its own words.
    expect(await refusal('banned')).toEqual(['forbidden', 'You are banned', 4003])
    expect(errors).toEqual([['connect', 'the database is away']])
    expect(server.hub.registry.size).toBe(0)
  })

  test.concurrent('of the start come before anybody connects, of the stop after everybody has left', async () => {
    const seen: string[] = []
    const app = tidings()
      .onStart(() => void seen.push('start'))
      .onConnect(() => void seen.push('connect'))
      .onDisconnect(() => void seen.push('disconnect'))
      .onStop(() => void seen.push('stop'))
    const server = await startTestServer({ app })
    await using _client = await server.connect({ user: 'alice' })
    await server.stop()
    expect(seen).toEqual(['start', 'connect', 'disconnect', 'stop'])
  })

  test.concurrent('that fail at the end of a connection hurt nobody', async () => {
    const app = tidings().onDisconnect(() => {
      throw new Error('careless')
    })
    await using server = await startTestServer({ app })
    await (await server.connect({ user: 'alice' })).close()
    await server.logged('application_error', { stage: 'disconnect' })
    await using again = await server.connect({ user: 'alice' })
    expect(again.welcome.type).toBe('welcome')
  })
})

describe('authenticate', () => {
  const app = tidings().authenticate(async (request, next) => {
    const key = new URL(request.url).searchParams.get('key')
    if (key === 'broken') throw new Error('the database is away')
    if (key === 'banned') throw new TidingsError('token_revoked')
    return key === null ? next() : { userId: `key-${key}`, roles: [] }
  })

  test.concurrent('knows its own credentials, and asks the next for all others', async () => {
    await using server = await startTestServer({ app })
    const user = async (query: Record<string, string>) => {
      await using client = await server.connect({ user: 'alice', query })
      return payloadOf(client.welcome)['user_id']
    }
    expect(await user({ key: 'one', token: '' })).toBe('key-one')
    expect(await user({})).toBe('alice')
  })

  test.concurrent('that fails is no fault of the client, and says nothing of it', async () => {
    await using server = await startTestServer({ app })
    const refusal = async (query: Record<string, string>) => {
      const { error } = await server.connect({ user: 'alice', query }).catch((refused) => refused)
      return [error.error_code, error.message]
    }
    expect(await refusal({ key: 'broken' })).toEqual(['unavailable', 'Temporarily unavailable'])
    expect(await refusal({ key: 'banned' })).toEqual(['token_revoked', 'The token was revoked'])
    await server.logged('application_error', { stage: 'authenticate' })
  })
})

describe('who may send to users', () => {
  const attempt = async (publish: string, roles: string[]) => {
    await using server = await startTestServer({ config: { direct: { publish } } as never })
    await using sender = await server.connect({ user: 'alice', device: 'a', roles })
    await using _own = await server.connect({ user: 'alice', device: 'b' })
    const to = [{ user_id: 'bob' }, { user_id: 'bob', device_id: 'x' }, { user_id: 'alice' }, { device_id: 'b' }]
    return Promise.all(to.map(async (target) => (await sender.request({ type: 'x', to: target })).type))
  }

  test.concurrent('is what direct.publish says; to oneself everybody may', async () => {
    expect(await attempt('any', [])).toEqual(['ack', 'ack', 'ack', 'ack'])
    expect(await attempt('none', [])).toEqual(['error', 'error', 'ack', 'ack'])
    expect(await attempt('none', ['admin'])).toEqual(['ack', 'ack', 'ack', 'ack'])
    expect(await attempt('role:staff', ['staff'])).toEqual(['ack', 'ack', 'ack', 'ack'])
    expect(await attempt('role:staff', ['other'])).toEqual(['error', 'error', 'ack', 'ack'])
  })
})

// Such a middleware answers after the client has been told that its time is up.
test.concurrent('a frame has one answer, whatever comes when', async () => {
  const app = tidings()
    .use(async (_context, next) => {
      const going = next()
      await wait(100)
      await going
      throw new TidingsError('forbidden')
    })
    .on('late', async () => {
      await wait(80)
      return 1
    })
  await using server = await startTestServer({ app, config: { handlers: { timeout_ms: 50 } } })
  await using client = await server.connect({ user: 'alice' })
  expect((await client.request({ type: 'late' })).payload).toMatchObject({ error_code: 'handler_timeout' })
  expect((await client.request({ type: 'who_am_i' })).type).toBe('ack')
  await wait(150)
  expect((await client.received()).map(({ type, correlation_id }) => [type, correlation_id === undefined])).toEqual([])
})
