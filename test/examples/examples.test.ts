/** The examples, each as the program that its first lines say it is. */
import { expect, test } from 'bun:test'
import { issueToken } from '../../src/auth/issue.ts'
import { newSecret } from '../../src/config.ts'
import { program, tidingsProcess } from '../cli/process.ts'
import { files } from '../config/support.ts'

const ADDRESS = /Address +(http:\S+)/
const SECRET = newSecret()
const DEVELOPMENT = ['serve', '--dev', '--port=0', '--store.path=:memory:']

function example(command: string, env: Record<string, string>, before = ':') {
  return program(['sh', '-c', `${before}\nexec ${command}`], env)
}

async function serverFor(...users: string[]) {
  const server = tidingsProcess(DEVELOPMENT, { TIDINGS_AUTH_SECRET: SECRET })
  const REALTIME_URL = `${(await server.printed(ADDRESS)).replace('http', 'ws')}/realtime`
  const tokens = await Promise.all(users.map((user) => issueToken(SECRET, { user_id: user }, 3600)))
  return {
    envs: tokens.map((TOKEN) => ({ TOKEN, REALTIME_URL })),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

const CHAT = 'node_modules/.bin/bun examples/chat.ts'
const DIRECT = 'node_modules/.bin/bun examples/direct.ts'

test('chat: what one types the others read, and who comes and goes', async () => {
  await using server = await serverFor('alice', 'bob')
  const [alice = {}, bob = {}] = server.envs
  // An input that never ends, so that the first one stays.
  using folder = files({})
  await using listening = example(`${CHAT} tea 0<>'${folder.path('input')}'`, alice, `mkfifo '${folder.path('input')}'`)
  await listening.printed(/you are in tea, 1 here/)
  await using speaking = program(['sh', '-c', `printf 'one\\ntwo\\n' | ${CHAT} tea`], bob)
  expect(await speaking.exitCode()).toBe(0)
  await listening.printed(/bob left/)
  expect(listening.output()).toBe(
    '* you are in tea, 1 here\n* bob joined, 2 here\nbob: one\nbob: two\n* bob left, 1 here\n',
  )
})

test('chat: a token that is not good ends the program with 1', async () => {
  await using server = await serverFor('alice')
  await using refused = example(CHAT, { ...server.envs[0], TOKEN: 'not.a.token' })
  expect(await refused.exitCode()).toBe(1)
})

test('direct: who listens reads what is sent to them, and the sender learns how many did', async () => {
  await using server = await serverFor('alice', 'bob')
  const [alice = {}, bob = {}] = server.envs
  await using listening = example(DIRECT, bob)
  await listening.printed(/listening as bob/)
  await using sending = example(`${DIRECT} bob see you at eight`, alice)
  expect(await sending.exitCode()).toBe(0)
  expect(sending.output()).toBe("handed to 1 of bob's connections\n")
  expect(await listening.printed(/alice: .*/)).toBe('alice: see you at eight')
})

const STREAM = 'node_modules/.bin/bun examples/stream.ts'
const POLL = 'node_modules/.bin/bun examples/poll.ts'

test('stream and poll: who listens over either reads what is said, and who streams says something too', async () => {
  await using server = await serverFor('alice', 'bob', 'carol')
  const [alice = {}, bob = {}, carol = {}] = server.envs
  await using polling = example(`${POLL} tea`, alice)
  await polling.printed(/listening to tea/)
  await using streaming = example(`${STREAM} tea good morning`, bob)
  await streaming.printed(/said/)
  await polling.printed(/bob: good morning/)
  await using speaking = program(['sh', '-c', `echo 'and to you' | ${CHAT} tea`], carol)
  expect(await speaking.exitCode()).toBe(0)
  await Promise.all([polling.printed(/carol: and to you/), streaming.printed(/carol: and to you/)])
  expect(polling.output()).toBe('* listening to tea\nbob: good morning\ncarol: and to you\n')
  expect(streaming.output()).toBe('* listening to tea\n* said\ncarol: and to you\n')
})

test('stream and poll: a token that is not good ends them with 1', async () => {
  await using server = await serverFor('alice')
  for (const command of [STREAM, POLL]) {
    await using refused = example(command, { ...server.envs[0], TOKEN: 'not.a.token' })
    expect(await refused.exitCode()).toBe(1)
  }
})

test('publish: a backend reaches a user, once for each key', async () => {
  const KEY = newSecret()
  await using server = tidingsProcess(DEVELOPMENT, { TIDINGS_AUTH_SECRET: SECRET, TIDINGS_ADMIN_KEYS: KEY })
  const SERVER = await server.printed(ADDRESS)
  const token = await issueToken(SECRET, { user_id: 'alice' }, 3600)
  const publish = async (order: string) => {
    await using backend = example(`node_modules/.bin/bun examples/publish.ts alice ${order}`, { KEY, SERVER })
    expect(await backend.exitCode()).toBe(0)
    return backend.output()
  }
  expect(await publish('7')).toBe('alice will hear of it\n')
  const socket = new WebSocket(`${SERVER.replace('http', 'ws')}/realtime?token=${token}`)
  const orders: unknown[] = []
  const { promise: heard, resolve } = Promise.withResolvers<void>()
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data))
    if (frame.type === 'order_shipped') orders.push(frame.payload.order)
    if (orders.includes('8')) resolve()
  }
  await new Promise((open) => {
    socket.onopen = open
  })
  await publish('7')
  expect(await publish('8')).toBe('alice has heard of it\n')
  await heard
  expect(orders).toEqual(['7', '8'])
  socket.close()
})

test('elysia: whoever logged in hears of a shipment, and a stranger is refused', async () => {
  await using shop = example('node_modules/.bin/bun examples/elysia.ts', { PORT: '0' })
  const url = await shop.printed(/The shop is open: (\S+)/)
  const post = (path: string, body: unknown) =>
    fetch(url + path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  const cookie = (await post('/login', { user: 'alice' })).headers.get('set-cookie')?.split(';')[0] ?? ''
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime`, { headers: { cookie } } as never)
  const shipped = new Promise((resolve) => {
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data))
      if (frame.type === 'welcome') void post('/orders/7/ship', { user: 'alice' })
      if (frame.type === 'order_shipped') resolve(frame.payload)
    }
  })
  expect(await shipped).toEqual({ id: '7' })
  socket.close()

  const stranger = await fetch(`${url}/realtime`, {
    headers: { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
  })
  expect(stranger.status).toBe(403)
})

test('library: everybody hears the time, handlers answer, and SIGTERM lets everybody go', async () => {
  await using server = example('node_modules/.bin/bun examples/library.ts', { SECRET, PORT: '0' })
  const url = await server.printed(/"url":"(http:[^"]+)"/)
  const token = await issueToken(SECRET, { user_id: 'alice' }, 3600)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime?token=${token}`)
  const types = new Set<string>()
  const { promise: heard, resolve: all } = Promise.withResolvers<void>()
  const { promise: closed, resolve: close } = Promise.withResolvers<number>()
  socket.onopen = () => socket.send('{"type":"what_time","id":"1"}')
  socket.onclose = ({ code }) => close(code)
  socket.onmessage = ({ data }) => {
    types.add(JSON.parse(String(data)).type)
    if (types.has('tick') && types.has('ack')) all()
  }
  await heard
  server.child.kill('SIGTERM')
  expect(await closed).toBe(1012)
  expect(await server.exitCode()).toBe(0)
})
