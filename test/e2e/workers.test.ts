/** `serve --workers`, from source and compiled: what starts its processes is not the same in both. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ConfigInput, newSecret } from '../../src/config.ts'
import type { TestClient } from '../../src/testing/index.ts'
import { tokenFor } from '../../src/testing/tokens.ts'
import { RedisServer } from '../kit/redis.ts'
import { BINARY, type BinaryOptions, FROM_SOURCE, startBinary } from '../support/binary.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { connectWs } from '../support/ws-client.ts'

setDefaultTimeout(60_000)

type Server = Awaited<ReturnType<typeof startBinary>>

/** Longer than any of these tests waits for something, and over before they are given up: workers outlive them by it. */
const LONG_MS = 20_000

let redis: RedisServer
let deployments = 0

beforeAll(async () => {
  redis = await RedisServer.start()
})

afterAll(async () => {
  await redis[Symbol.asyncDispose]()
})

/** Workers of a deployment of their own. */
async function start(workers: number, { config, ...options }: BinaryOptions = {}): Promise<Server> {
  const prefix = `w${deployments++}`
  return await startBinary({ ...options, workers, config: { ...config, redis: { url: redis.url, prefix } } })
}

/** Connects clients to a room, each a user of its own, until each worker has one; returns one of each. */
async function oneOnEach(server: Server, workers: number): Promise<TestClient[]> {
  const found = new Map<unknown, TestClient>()
  for (let i = 0; found.size < workers; i++) {
    const who = { user: `user-${i}`, rooms: ['lobby'] }
    const client = await connectWs(server.url, who, await server.token(who))
    const { worker } = await server.logged('connection_opened', { user_id: who.user })
    if (found.has(worker)) await client.close()
    else found.set(worker, client)
  }
  return [...found.values()]
}

/** The process in a place, the newest one. */
async function pidOf(server: Server, worker: number, restarts = 0): Promise<number> {
  return Number((await server.logged('worker_started', { worker, restarts }))['pid'])
}

/** The answers to so many probes, each on a connection of its own. */
async function probe(server: Server, times: number): Promise<unknown[]> {
  return await Promise.all(
    Array.from({ length: times }, async () => {
      const response = await fetch(`${server.url}/readyz`, { keepalive: false })
      return ((await response.json()) as { status: unknown }).status
    }),
  )
}

/** More probes than it takes to reach every worker, as good as certainly. */
const MANY = 30

const allReady = (server: Server) =>
  until(async () => (await probe(server, MANY)).every((status) => status === 'ready'))

describe.each([
  ['from source', FROM_SOURCE],
  ['compiled', [BINARY]],
])('workers, %s', (_form, command) => {
  test('all take connections on one port, and hear each other', async () => {
    await using server = await start(3, { command })
    const clients = await oneOnEach(server, 3)
    const [sender, ...others] = clients
    await sender?.request({ type: 'chat', to: { room: 'lobby' }, payload: { text: 'hello' } })
    for (const client of others) expect(payloadOf(await client.next('chat'))).toEqual({ text: 'hello' })
    for (const client of clients) await client.close()
    expect(server.lines.filter(({ event }) => event === 'workers_started')).toEqual([
      expect.objectContaining({ url: server.url, workers: 3 }),
    ])
    const started = server.lines.filter(({ event }) => event === 'server_started')
    expect(started.map(({ worker }) => worker).sort()).toEqual([1, 2, 3])
    expect(new Set(started.map(({ url }) => url))).toEqual(new Set([server.url]))
  })

  test('one that is killed is started again and counted, and who is on another stays', async () => {
    await using server = await start(2, { command })
    await allReady(server)
    const clients = await oneOnEach(server, 2)
    process.kill(await pidOf(server, 1), 'SIGKILL')
    expect(await server.logged('worker_ended')).toMatchObject({ worker: 1, signal: 'SIGKILL', restarts: 1 })
    const ended = await Promise.race(clients.map((client) => client.closed.then(() => client)))
    const staying = clients.find((client) => client !== ended)
    await pidOf(server, 1, 1)
    await allReady(server)
    expect((await staying?.request({ type: 'ping' }))?.type).toBe('pong')
    await staying?.close()
  })

  test('end when their supervisor is killed', async () => {
    await using server = await start(2, { command })
    server.child.kill('SIGKILL')
    // The output ends when the last process that holds it has.
    await server.exited()
    const stopped = server.lines.filter(({ event, reason }) => event === 'server_stopped' && reason === 'parent_gone')
    expect(stopped.map(({ worker }) => worker).sort()).toEqual([1, 2])
  })
})

test('one that hangs is not ready, and is then ended and started again', async () => {
  await using server = await start(2)
  await allReady(server)
  const pid = await pidOf(server, 1)
  process.kill(pid, 'SIGSTOP')
  // Those that the other answers: a connection that the hung one would have to take is not taken.
  const isDegraded = async () => {
    const signal = AbortSignal.timeout(500)
    const answer = await fetch(`${server.url}/readyz`, { keepalive: false, signal }).catch(() => undefined)
    return answer?.status === 503
  }
  await until(isDegraded, 30_000)
  await until(() => server.lines.some(({ event }) => event === 'worker_ended'), 40_000)
  expect(server.lines.find(({ event }) => event === 'worker_hung')).toMatchObject({ worker: 1, pid })
  await pidOf(server, 1, 1)
  await allReady(server)
})

test('workers serve the handlers of --app', async () => {
  const source = `import { tidings } from 'tidings'
export default tidings().on('whoami', () => process.pid)`
  await using server = await start(2, { app: 'app.ts', files: { 'app.ts': source } })
  const clients = await oneOnEach(server, 2)
  const answers = await Promise.all(clients.map(async (client) => payloadOf(await client.request({ type: 'whoami' }))))
  const pids = [await pidOf(server, 1), await pidOf(server, 2)]
  expect(answers.map(({ result }) => Number(result)).sort()).toEqual(pids.sort())
  for (const client of clients) await client.close()
})

describe('readiness', () => {
  const drain = { delay_ms: LONG_MS, deadline_ms: LONG_MS }

  test('is denied by all as long as one is leaving, and by all when all are', async () => {
    await using server = await start(2, { config: { drain } })
    await allReady(server)
    const pid = await pidOf(server, 1)
    process.kill(pid, 'SIGTERM')
    await until(async () => {
      const answers = await probe(server, MANY)
      return answers.includes('draining') && answers.includes('degraded') && !answers.includes('ready')
    })
    process.kill(pid, 'SIGKILL')
    await pidOf(server, 1, 1)
    await allReady(server)
    server.child.kill('SIGTERM')
    await until(async () => (await probe(server, MANY)).every((status) => status === 'draining'))
    server.child.kill('SIGTERM')
    expect(await server.exited()).toBe(1)
  })
})

describe('signals', () => {
  test('SIGTERM sends all clients elsewhere, and the supervisor exits with 0 after the last worker', async () => {
    await using server = await start(2, { config: { drain: { window_ms: 200 } } })
    const clients = await oneOnEach(server, 2)
    server.child.kill('SIGTERM')
    for (const client of clients) {
      expect(payloadOf(await client.next('server_draining'))).toMatchObject({ reason: 'SIGTERM' })
      expect(await client.closed).toEqual({ code: 1012, reason: 'draining' })
    }
    expect(await server.exited()).toBe(0)
    expect(server.lines.filter(({ event }) => event === 'server_stopped')).toHaveLength(2)
    expect(server.lines.filter(({ event }) => event === 'worker_ended')).toEqual([])
  })

  test('a second one ends all at once, with 1', async () => {
    const config = { drain: { delay_ms: LONG_MS, deadline_ms: LONG_MS } }
    await using server = await start(2, { config })
    server.child.kill('SIGTERM')
    for (const worker of [1, 2]) await server.logged('server_draining', { worker })
    server.child.kill('SIGTERM')
    expect(await server.exited()).toBe(1)
    expect(server.lines.filter(({ event }) => event === 'server_stopped')).toEqual([])
  })

  // systemd sends its SIGTERM to the processes of a service, not only to the first.
  test('one that is sent to every process is not two', async () => {
    await using server = await start(2, { config: { drain: { window_ms: 200 } } })
    const clients = await oneOnEach(server, 2)
    for (const pid of [await pidOf(server, 1), await pidOf(server, 2), server.child.pid]) process.kill(pid, 'SIGTERM')
    for (const client of clients) expect((await client.closed).code).toBe(1012)
    expect(await server.exited()).toBe(0)
  })

  test('SIGHUP takes a new secret in all, and in one that is started later', async () => {
    const secret = newSecret()
    await using server = await start(2, {
      config: { auth: { secret } },
      files: { secret },
      env: { TIDINGS_AUTH_SECRET_FILE: 'secret' },
    })
    const next = newSecret()
    writeFileSync(join(server.folder, 'secret'), next)
    server.child.kill('SIGHUP')
    for (const worker of [1, 2]) await server.logged('keys_reloaded', { worker })
    const taken = async (): Promise<number[]> => {
      const token = await tokenFor(next, { user: 'alice' })
      const headers = { authorization: `Bearer ${token}` }
      const ask = () => fetch(`${server.url}/api/websocket/status`, { headers, keepalive: false })
      return await Promise.all(Array.from({ length: MANY }, async () => (await ask()).status))
    }
    expect(new Set(await taken())).toEqual(new Set([200]))

    process.kill(await pidOf(server, 1), 'SIGKILL')
    await pidOf(server, 1, 1)
    await allReady(server)
    expect(new Set(await taken())).toEqual(new Set([200]))

    writeFileSync(join(server.folder, 'secret'), 'short')
    server.child.kill('SIGHUP')
    await server.logged('key_reload_failed')
    expect(server.lines.filter(({ event }) => event === 'key_reload_failed')).toHaveLength(1)
    expect(new Set(await taken())).toEqual(new Set([200]))
  })
})

test('the admin listener is shared as well', async () => {
  const key = newSecret()
  await using server = await start(3, {
    config: { admin: { keys: [key], listen: '127.0.0.1:0' } },
  })
  const urls = new Set(server.lines.filter(({ event }) => event === 'server_started').map((line) => line['admin_url']))
  expect(urls.size).toBe(1)
  const clients = await oneOnEach(server, 3)
  const headers = { authorization: `Bearer ${key}` }
  const response = await fetch(`${[...urls][0]}/realtime/connections`, { headers })
  expect(((await response.json()) as { items: unknown[] }).items).toHaveLength(3)
  for (const client of clients) await client.close()
})

describe('a start that fails', () => {
  /** Starts workers that cannot, and returns what was printed. */
  async function fail(config: ConfigInput, options: BinaryOptions = {}): Promise<string> {
    const starting = start(2, { ...options, config })
    const outcome = await starting.then(
      async (server) => {
        await server[Symbol.asyncDispose]()
        return 'it has started'
      },
      (error: Error) => error.message,
    )
    expect(outcome).toStartWith('the server ended before it listened')
    return outcome
  }

  test('at a port that is taken is told once', async () => {
    using taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
    const output = await fail({ server: { port: taken.port ?? 0 } })
    expect(output.match(/the port is in use/g)).toHaveLength(1)
  })

  test('at the port of other workers is told, too: they would share it silently', async () => {
    await using others = await start(1)
    expect(await fail({ server: { port: Number(new URL(others.url).port) } })).toContain('the port is in use')
  })

  test('of handlers is told once', async () => {
    const output = await fail({}, { app: 'app.ts', files: { 'app.ts': 'throw new Error("boom")' } })
    expect(output.match(/Error: boom/g)).toHaveLength(1)
    expect(output).toContain('worker 1 has not started (exit code 1)')
  })

  test('in one worker ends the others', async () => {
    const source = `import { tidings } from 'tidings'
if (process.argv.includes('--worker=2')) throw new Error('boom')
export default tidings()`
    const output = await fail({}, { app: 'app.ts', files: { 'app.ts': source } })
    expect(output).toContain('worker 2 has not started (exit code 1)')
    expect(output).toMatch(/"event":"server_stopped","worker":1/)
  })
})
