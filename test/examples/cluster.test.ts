/** The cluster of `examples/cluster`, with real load balancers that know nothing of sessions. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { newSecret } from '../../src/config.ts'
import { RefusedError, type TestClient } from '../../src/testing/index.ts'
import { type PollResult, poll } from '../../src/testing/poll.ts'
import { connect } from '../../src/testing/server.ts'
import { tokenFor, type Who } from '../../src/testing/tokens.ts'
import type { ConnectOptions } from '../../src/testing/websocket.ts'
import { program } from '../cli/process.ts'
import { payloadOf } from '../support/payload.ts'
import { freePort } from '../support/ports.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'

setDefaultTimeout(60_000)

const TRANSPORTS = ['websocket', 'sse', 'poll'] as const

const secret = newSecret()
const adminKey = newSecret()
let cluster: Awaited<ReturnType<typeof startCluster>>

beforeAll(async () => {
  cluster = await startCluster()
})
afterAll(() => cluster[Symbol.asyncDispose]())

async function startCluster(env: Record<string, string> = {}) {
  const [nginx, haproxy, redis, ...instances] = await Promise.all(Array.from({ length: 6 }, freePort))
  const running = program(['examples/cluster/start'], {
    NGINX_PORT: String(nginx),
    HAPROXY_PORT: String(haproxy),
    REDIS_PORT: String(redis),
    INSTANCE_PORTS: String(instances),
    TIDINGS_AUTH_SECRET: secret,
    TIDINGS_ADMIN_KEYS: adminKey,
    // All clients come from one address, polls leave sessions behind, and a drain is not what is tested.
    TIDINGS_LIMITS_PER_USER: '0',
    TIDINGS_LIMITS_PER_IP: '0',
    TIDINGS_LIMITS_CONNECTS_PER_SECOND: '0',
    TIDINGS_DRAIN_DELAY_MS: '0',
    TIDINGS_DRAIN_WINDOW_MS: '0',
    ...env,
  })
  const folder = await running.printed(/logs +(\S+)/)
  await running.printed(/Ctrl\+C/)
  const url = (port: number | undefined) => `http://127.0.0.1:${port}`
  return {
    nginx: url(nginx),
    haproxy: url(haproxy),
    instances: instances.map(url),
    folder,
    output: running.output,
    /** What a load balancer has written of requests that are over. */
    log: (balancer: string) => readFileSync(`${folder}/${balancer}.log`, 'utf8'),
    async stop(): Promise<number> {
      running.child.kill('SIGINT')
      return await running.exitCode()
    },
    async [Symbol.asyncDispose]() {
      await this.stop()
    },
  }
}

const token = (who: Who) => tokenFor(secret, who)

/** Connects as a client does whose instance has told it to go elsewhere: nginx may lead it there again meanwhile. */
async function comeBack(url: string, who: ConnectOptions): Promise<TestClient> {
  for (;;) {
    try {
      return await connect(url, who, await token(who))
    } catch (error) {
      if (!(error instanceof RefusedError) || error.error?.error_code !== 'draining') throw error
    }
  }
}

describe.each(['nginx', 'haproxy'] as const)('behind %s', (balancer) => {
  const room = `meeting:${balancer}`
  const client = async (options: ConnectOptions) => await connect(cluster[balancer], options, await token(options))

  /** Whether a path was answered by each of the instances. */
  const wasAnsweredByAll = (request: string): boolean => {
    const by = (index: number, url: string): boolean =>
      cluster
        .log(balancer)
        .split('\n')
        .some((line) => {
          const served = line.endsWith(` ${new URL(url).host}`) || line.endsWith(` instance-${index + 1}`)
          return served && line.includes(` ${request} `)
        })
    return cluster.instances.every((url, index) => by(index, url))
  }

  test('everybody hears everybody, whatever the transport and wherever it leads, and counts everybody', async () => {
    const users = TRANSPORTS.flatMap((transport) => [1, 2, 3].map((n) => ({ user: `${transport}-${n}`, transport })))
    const clients: TestClient[] = []
    // One after the other: so the three of each transport meet the three instances.
    for (const who of users) clients.push(await client({ ...who, rooms: [room] }))
    const names = users.map(({ user }) => user)
    for (const [index, speaker] of clients.entries()) {
      const ack = await speaker.request({ type: 'chat', to: { room }, payload: names[index] })
      expect(ack).toMatchObject({ type: 'ack', payload: { online: 8 } })
    }
    for (const [index, listener] of clients.entries()) {
      const heard = []
      while (heard.length < 8) heard.push((await listener.next('chat')).payload)
      expect(heard).toEqual(names.filter((_, other) => other !== index))
    }
    const [leaver, stayer] = clients as [TestClient, TestClient]
    const state = await stayer.request({ type: 'get_room_state', payload: { room } })
    expect(payloadOf(state)).toMatchObject({ participant_count: 9 })
    await leaver.close()
    expect(payloadOf(await stayer.next('user_left_room'))).toMatchObject({ participant_count: 8 })
    await Promise.all(clients.map((one) => one.close()))
    const paths = ['GET /realtime 101', 'GET /realtime/sse 200', 'GET /realtime/poll 200']
    await until(() => paths.every(wasAnsweredByAll))
  })

  test('one cursor goes from transport to transport and from instance to instance, in rooms and in the inbox', async () => {
    const room = `meeting:journey-${balancer}`
    const who = { user: `traveller-${balancer}`, device: 'd', rooms: [room] }
    const first = await client(who)
    let cursor = String(payloadOf(first.welcome)['cursor'])
    await first.close()
    const heard: unknown[] = []
    const sent: unknown[] = []
    for (let n = 0; n < 12; n++) {
      for (const to of [{ room }, { user_id: who.user }]) {
        sent.push(`${n} ${Object.keys(to)}`)
        const answer = await fetch(`${cluster[balancer]}/realtime/publish`, {
          method: 'POST',
          headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ to, type: 'chat', payload: sent.at(-1) }),
        })
        expect(answer.status).toBe(200)
      }
      const next = await client({ ...who, transport: TRANSPORTS[n % 3] as 'sse', query: { cursor } })
      expect(payloadOf(next.welcome)).toMatchObject({ resume: { recovered: true, replayed: 2 } })
      for (let of = 0; of < 2; of++) {
        const frame = await next.next('chat')
        heard.push(frame.payload)
        cursor = String(frame.cursor)
      }
      await next.close()
    }
    expect(heard).toEqual(sent)
  })

  test('frames by POST and polls of one session lead anywhere, and nothing is lost between', async () => {
    const listener = await client({ user: 'listener', rooms: [`lobby:${balancer}`] })
    const url = new URL(
      `${cluster[balancer]}/realtime/poll?timeout=1&rooms=lobby:${balancer}&token=${await token({ user: 'p' })}`,
    )
    const first = await poll(url, undefined)
    if (first instanceof Response) throw new Error(await first.text())
    url.searchParams.set('connection_id', first.connection_id)
    url.searchParams.set('cursor', first.cursor)
    const send = new URL(`/realtime/send${url.search}`, url)
    const polled: unknown[] = []
    let said = 0
    const all = ['GET /realtime/poll 200', 'POST /realtime/send 200']
    while (said < 9 || !all.every(wasAnsweredByAll)) {
      const frame = {
        connection_id: first.connection_id,
        type: 'chat',
        id: `${said}`,
        to: { room: `lobby:${balancer}` },
        payload: said,
      }
      const answer = await fetch(send, { method: 'POST', body: JSON.stringify(frame) })
      expect(await answer.json()).toMatchObject({ type: 'ack', payload: { online: 1 } })
      await listener.request({ type: 'chat', to: { room: `lobby:${balancer}` }, payload: said })
      const result = await poll(url, undefined)
      if (result instanceof Response) throw new Error(await result.text())
      expect(result.connection_id).toBe(first.connection_id)
      url.searchParams.set('cursor', result.cursor)
      polled.push(...result.messages.filter(({ type }) => type === 'chat').map(({ payload }) => payload))
      said++
    }
    const numbers = Array.from({ length: said }, (_, n) => n)
    expect(polled).toEqual(numbers)
    expect((await listener.received()).filter(({ type }) => type === 'chat').map(({ payload }) => payload)).toEqual(
      numbers,
    )
    await listener.close()
  })

  test('the address of a client is what the load balancer says', async () => {
    const one = await client({ user: 'far', headers: { 'x-forwarded-for': '203.0.113.7' } })
    expect(payloadOf(await one.request({ type: 'who_am_i' }))).toMatchObject({ ip: '203.0.113.7' })
    await one.close()
  })
})

test('an instance that is stopped sends its clients away, and through the load balancer they come back to the others', async () => {
  await using own = await startCluster()
  const [, pid] = /instance-1 .* process (\d+)/.exec(own.output()) ?? []
  const room = 'meeting:1'
  const users = ['a', 'b', 'c'].map((user) => ({ user, rooms: [room] }))
  const clients = []
  for (const who of users) clients.push(await connect(own.nginx, who, await token(who)))
  process.kill(Number(pid), 'SIGTERM')
  const { code, who } = await Promise.race(
    clients.map(async ({ closed }, index) => ({ ...(await closed), who: users[index] as (typeof users)[0] })),
  )
  expect(code).toBe(1012)
  for (let n = 0; n < 3; n++) {
    const back = await comeBack(own.nginx, who)
    expect(payloadOf(back.welcome)['rooms']).toMatchObject([{ room, participant_count: 3 }])
    await back.close()
  }
})

test('with a sticky cookie HAProxy keeps a client where its session is, and learns nothing wrong of those without', async () => {
  await using own = await startCluster({ STICKY_COOKIE: 'home' })
  const at = own.haproxy
  const query = async (user: string) => `token=${await token({ user })}`
  const cookieOf = (answer: Response) => /^home=[^;]+/.exec(answer.headers.get('set-cookie') ?? '')?.[0] ?? 'none'

  const first = await fetch(`${at}/realtime/poll?${await query('polls')}`)
  const stream = await fetch(`${at}/realtime/sse?${await query('streams')}`)
  const socket = new Ws(`${at}/realtime?${await query('talks')}`.replace('http', 'ws'))
  const upgraded = await new Promise<IncomingMessage>((resolve) => socket.once('upgrade', resolve))
  const cookies = [cookieOf(first), cookieOf(stream), String(upgraded.headers['set-cookie']).split(';')[0] ?? 'none']
  expect(new Set(cookies).size).toBe(3)

  /** The instances that answer whoever brings a cookie; each path is asked for once. */
  const homesOf = async (cookie: string, round: string): Promise<Set<string>> => {
    const path = `/${round}/${cookies.indexOf(cookie)}`
    for (let n = 0; n < 4; n++) await fetch(at + path, { headers: { cookie } })
    const lines = () =>
      own
        .log('haproxy')
        .split('\n')
        .filter((line) => line.includes(` GET ${path} `))
    await until(() => lines().length === 4)
    return new Set(lines().map((line) => line.slice(line.lastIndexOf(' ') + 1)))
  }
  const homes = await Promise.all(cookies.map((cookie) => homesOf(cookie, 'before')))
  expect(homes.map(({ size }) => size)).toEqual([1, 1, 1])
  expect(new Set(homes.flatMap((home) => [...home])).size).toBe(3)

  // Somebody who keeps no cookies polls here and there; each answer names the session's home.
  const { connection_id, cursor } = (await first.json()) as PollResult
  for (let n = 0; n < 6; n++) {
    const where = `connection_id=${connection_id}&cursor=${cursor}&timeout=0`
    const answer = await fetch(`${at}/realtime/poll?${await query('polls')}&${where}`)
    expect(cookieOf(answer)).toBe(cookies[0] as string)
  }
  expect(await Promise.all(cookies.map((cookie) => homesOf(cookie, 'after')))).toEqual(homes)
  await stream.body?.cancel()
  socket.close()
})

test('Ctrl+C ends everything that was started, and leaves nothing behind', async () => {
  const own = await startCluster()
  const addresses = [own.nginx, own.haproxy, ...own.instances]
  expect(await own.stop()).toBe(0)
  expect(existsSync(own.folder)).toBe(false)
  const answers = await Promise.allSettled(addresses.map((url) => fetch(url)))
  expect(answers.map(({ status }) => status)).toEqual(addresses.map(() => 'rejected'))
})
