/** What people write in handlers, and what the server owes them. */
import { expect, test } from 'bun:test'
import { issueToken } from '../../src/auth/issue.ts'
import { newSecret } from '../../src/config.ts'
import { silentLog } from '../../src/core/log.ts'
import { type ConfigInput, configFrom, startServer, type Tidings, tidings } from '../../src/index.ts'

interface Frame {
  readonly type: string
  readonly payload: Record<string, unknown>
  readonly correlation_id?: string
  readonly ack_id?: string
}

/** A server with these handlers, and one client of it. */
async function serving(app: Tidings, input: ConfigInput = {}) {
  const secret = newSecret()
  const settings = { ...input, server: { port: 0, host: '127.0.0.1' }, store: { path: ':memory:' }, auth: { secret } }
  const config = configFrom(settings, 'production')
  const server = await startServer(config, { app, mode: 'production', log: silentLog })
  const token = await issueToken(secret, { user_id: 'alice' }, 3600)
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/realtime?token=${token}`)
  const frames: Frame[] = []
  let wake = Promise.withResolvers<void>()
  socket.onmessage = ({ data }) => {
    frames.push(JSON.parse(String(data)))
    wake.resolve()
    wake = Promise.withResolvers()
  }
  const until = async (wanted: (frame: Frame) => boolean): Promise<Frame> => {
    for (;;) {
      const found = frames.find(wanted)
      if (found) return found
      await wake.promise
    }
  }
  await until(({ type }) => type === 'welcome')
  return {
    frames,
    until,
    send: (frame: object) => socket.send(JSON.stringify(frame)),
    async [Symbol.asyncDispose]() {
      socket.close()
      await server.stop()
    },
  }
}

test('publish and emitWithAck may be taken out of the context', async () => {
  const app = tidings().on('go', async ({ publish, emitWithAck, user }) => {
    await publish({ user_id: user.id }, 'note', 'first')
    return await emitWithAck('question', null, { timeoutMs: 60_000 })
  })
  await using alice = await serving(app)
  alice.send({ type: 'go', id: '1' })
  const { ack_id } = await alice.until(({ type }) => type === 'question')
  alice.send({ type: 'ack', payload: { correlation_id: ack_id, result: 'yes' } })
  expect((await alice.until(({ correlation_id }) => correlation_id === '1')).payload).toEqual({ result: 'yes' })
  expect(alice.frames.map(({ type }) => type)).toEqual(['welcome', 'note', 'question', 'ack'])
})

// Behind the handler that waits for it, the answer would only come when that has given up.
test('the answer to a question overtakes the frames that wait behind the handler, and nothing else does', async () => {
  const handled: string[] = []
  const app = tidings()
    .on('ask', async ({ emitWithAck }) => {
      handled.push(String(await emitWithAck('question', null, { timeoutMs: 60_000 })))
    })
    .on('other', ({ payload }) => void handled.push(String(payload)))
  await using alice = await serving(app)
  alice.send({ type: 'ask', id: '1' })
  const { ack_id } = await alice.until(({ type }) => type === 'question')
  alice.send({ type: 'other', id: '2', payload: 'second' })
  alice.send({ type: 'ack', payload: { correlation_id: ack_id, result: 'first' } })
  alice.send({ type: 'other', id: '3', payload: 'third' })
  await alice.until(({ correlation_id }) => correlation_id === '3')
  expect(handled).toEqual(['first', 'second', 'third'])
})

test('handlers.timeout_ms = 0 lets a handler take as long as it likes', async () => {
  const app = tidings().on('slow', async () => {
    // It ends after a time-out of 0 ms would have.
    await new Promise((resolve) => setTimeout(resolve, 10))
    return 'done'
  })
  await using alice = await serving(app, { handlers: { timeout_ms: 0 } })
  alice.send({ type: 'slow', id: '1' })
  expect((await alice.until(({ correlation_id }) => correlation_id === '1')).payload).toEqual({ result: 'done' })
})

test('middleware runs around routed and built-in frames too, in the order of adding', async () => {
  const seen: string[] = []
  const app = tidings()
    .use(async ({ type }, next) => {
      seen.push(`outer ${type}`)
      await next()
    })
    .use(({ type }, next) => {
      seen.push(`inner ${type}`)
      return next()
    })
  await using alice = await serving(app)
  alice.send({ type: 'ping', id: '1' })
  alice.send({ type: 'note', id: '2', to: { user_id: 'alice' } })
  await alice.until(({ correlation_id }) => correlation_id === '2')
  expect(seen).toEqual(['outer ping', 'inner ping', 'outer note', 'inner note'])
})
