import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { newSecret } from '../../src/config.ts'
import type { TestClient } from '../../src/testing/index.ts'
import type { ConnectOptions } from '../../src/testing/websocket.ts'
import { startBinary } from '../support/binary.ts'
import { payloadOf } from '../support/payload.ts'
import { RawSocket } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { connectWs } from '../support/ws-client.ts'

setDefaultTimeout(30_000)

type Server = Awaited<ReturnType<typeof startBinary>>

const connect = async (server: Server, options: ConnectOptions): Promise<TestClient> =>
  connectWs(server.url, options, await server.token(options))

describe('SIGTERM', () => {
  test.concurrent('fails readiness, tells every client when to come back, spreads the closes, and exits with 0', async () => {
    const window_ms = 1500
    await using server = await startBinary({ config: { drain: { delay_ms: 300, window_ms }, limits: { per_user: 0 } } })
    const clients = await Promise.all(Array.from({ length: 60 }, () => connect(server, { user: 'alice' })))
    const ends: number[] = []
    const told = clients.map(async (client) => {
      const { payload } = await client.next('server_draining')
      const closed = await client.closed
      ends.push(performance.now())
      return { payload, closed }
    })
    server.child.kill('SIGTERM')
    await until(async () => (await fetch(`${server.url}/readyz`)).status === 503)
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200)
    const late = await connect(server, { user: 'late' }).catch((error) => error)
    expect(late.error).toMatchObject({ code: 'RT_009', error_code: 'draining', reconnect: true })
    const outcomes = await Promise.all(told)
    expect(outcomes.every(({ closed }) => closed.code === 1012 && closed.reason === 'draining')).toBe(true)
    const waits = outcomes.map(({ payload }) => (payload as { reconnect_after_ms: number }).reconnect_after_ms)
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...waits)).toBeLessThanOrEqual(window_ms)
    expect(new Set(waits).size).toBeGreaterThan(30)
    expect(outcomes[0]?.payload).toMatchObject({ reason: 'SIGTERM' })
    // All of the window; a busy machine hears of the first ones late.
    expect(Math.max(...ends) - Math.min(...ends)).toBeGreaterThan(0.5 * window_ms)
    expect(await server.exited()).toBe(0)
    expect(server.lines.at(-1)).toMatchObject({ event: 'server_stopped' })
  })

  test.concurrent('exits at the deadline, whoever is left, also within the delay before it begins', async () => {
    for (const drain of [
      { window_ms: 3_600_000, deadline_ms: 400 },
      { delay_ms: 3_600_000, deadline_ms: 400 },
    ]) {
      await using server = await startBinary({ config: { drain } })
      const client = await connect(server, { user: 'alice' })
      await using _other = await connect(server, { user: 'alice' })
      server.child.kill('SIGTERM')
      expect(await client.closed).toEqual({ code: 1012, reason: 'draining' })
      expect(await server.exited()).toBe(0)
    }
  })

  test.concurrent('twice exits at once', async () => {
    await using server = await startBinary({ config: { drain: { window_ms: 3_600_000, deadline_ms: 3_600_000 } } })
    await using _client = await connect(server, { user: 'alice' })
    await using _other = await connect(server, { user: 'alice' })
    server.child.kill('SIGTERM')
    await server.logged('server_draining')
    server.child.kill('SIGTERM')
    expect(await server.exited()).toBe(1)
  })

  test.concurrent('with nobody there exits without waiting for the window', async () => {
    await using server = await startBinary({ config: { drain: { window_ms: 3_600_000, deadline_ms: 3_600_000 } } })
    server.child.kill('SIGTERM')
    expect(await server.exited()).toBe(0)
  })

  // A client that has stopped reading must not keep a server from leaving.
  test.concurrent('does not wait for a client that does not answer', async () => {
    await using server = await startBinary({ config: { drain: { window_ms: 100 } } })
    using raw = await RawSocket.upgrade(server.url, `/realtime?token=${await server.token({ user: 'alice' })}`)
    raw.pause()
    server.child.kill('SIGTERM')
    expect(await server.exited()).toBe(0)
  })
})

describe('SIGHUP', () => {
  test.concurrent('takes a new secret from its file; whoever is connected stays', async () => {
    const secret = newSecret()
    await using server = await startBinary({
      config: { auth: { secret } },
      files: { secret },
      env: { TIDINGS_AUTH_SECRET_FILE: 'secret' },
    })
    await using before = await connect(server, { user: 'alice' })
    const token = await server.token({ user: 'alice' })
    writeFileSync(join(server.folder, 'secret'), newSecret())
    server.child.kill('SIGHUP')
    await until(async () => {
      const outcome = await connectWs(server.url, { user: 'alice' }, token).catch((error) => error)
      if (outcome instanceof Error) return true
      await outcome.close()
      return false
    })
    expect((await before.request({ type: 'ping' })).type).toBe('pong')
  })
})

describe('a handler', () => {
  const app = (body: string) => `import { tidings } from 'tidings'\nexport default tidings().on('work', ${body})\n`

  test.concurrent('that holds the event loop is named in the log', async () => {
    const files = { 'app.ts': app('() => { const end = Date.now() + 150; while (Date.now() < end); return 1 }') }
    await using server = await startBinary({ files, app: 'app.ts' })
    await using client = await connect(server, { user: 'alice' })
    await client.request({ type: 'work' })
    const line = await server.logged('handler_blocked_loop')
    expect(line).toMatchObject({ level: 'warn', type: 'work', user_id: 'alice' })
    expect(line['ms']).toBeGreaterThanOrEqual(100)
  })

  test.concurrent('whose forgotten promise or timer fails later does not end the server, and is in the log', async () => {
    for (const careless of [
      'Promise.reject(new Error("careless"))',
      'setTimeout(() => { throw new Error("careless") })',
    ]) {
      await using server = await startBinary({ files: { 'app.ts': app(`() => { void ${careless} }`) }, app: 'app.ts' })
      await using client = await connect(server, { user: 'alice' })
      await client.request({ type: 'work' })
      const line = await server.logged('uncaught_error')
      expect(line).toMatchObject({ level: 'error', error: { message: 'careless' } })
      expect((await client.request({ type: 'ping' })).type).toBe('pong')
      server.child.kill('SIGTERM')
      expect(await server.exited()).toBe(0)
    }
  })
})

test.concurrent('a connection is described with what the client said of itself', async () => {
  await using server = await startBinary()
  await using client = await connect(server, { user: 'alice', headers: { 'user-agent': 'browser/1' } })
  expect(payloadOf(await client.request({ type: 'who_am_i' }))).toMatchObject({
    user_agent: 'browser/1',
    ip: '127.0.0.1',
  })
})
