import { describe, expect, test } from 'bun:test'
import { jsonResponse, settle, welcomeFrame } from '../fakes.ts'
import { setUp } from '../set-up.ts'

const POLL = { transports: ['poll'] } as const

function chat(cursor: string): object {
  return { type: 'chat', id: `id-${cursor}`, cursor, payload: cursor, timestamp: 1 }
}

async function open() {
  const context = setUp(POLL)
  const { runtime, client } = context
  const heard: unknown[] = []
  client.on('chat', (payload) => heard.push(payload))
  void client.connect()
  await settle()
  const polls = () => runtime.requests.filter(({ url }) => url.pathname === '/realtime/poll')
  /** Answers the newest poll. */
  const answer = async (cursor: string, messages: object[], connection_id = 'c1'): Promise<void> => {
    polls().at(-1)?.answer(jsonResponse({ connection_id, cursor, messages }))
    await settle()
  }
  await answer('100', [welcomeFrame({ connection_id: 'c1', cursor: '100' }), chat('101')])
  context.been()
  return { ...context, heard, polls, answer }
}

describe('polling', () => {
  test('begins with a request that is answered at once, and goes on with its session and cursor', async () => {
    const { client, heard, polls } = await open()
    expect([client.state, client.transport]).toEqual(['open', 'poll'])
    expect(heard).toEqual(['101'])
    expect(polls().map(({ url }) => url.search)).toEqual([
      '?ack=explicit',
      '?ack=explicit&cursor=100&connection_id=c1&timeout=25',
    ])
    expect(polls()[1]?.init.headers).toEqual({ authorization: 'Bearer secret' })
  })

  test('goes on after an empty answer, and hears a repeated message once', async () => {
    const { heard, polls, answer } = await open()
    await answer('101', [])
    await answer('103', [chat('101'), chat('102'), chat('103')])
    expect(polls().at(-1)?.url.searchParams.get('cursor')).toBe('103')
    expect(heard).toEqual(['101', '102', '103'])
  })

  test('goes on in a new session where the server has forgotten the old one, and joins its rooms again', async () => {
    const { runtime, client, answer, polls, been } = await open()
    void client.join('lobby')
    await settle()
    const posts = () => runtime.requests.filter(({ url }) => url.pathname === '/realtime/send')
    const [{ id }] = JSON.parse(String(posts()[0]?.init.body))
    posts()[0]?.answer(
      jsonResponse([
        { type: 'ack', correlation_id: id, payload: { room: 'lobby', participant_count: 1, cursor: '101' } },
      ]),
    )
    await settle()
    await answer('105', [welcomeFrame({ connection_id: 'c2', cursor: '101' }), chat('105')], 'c2')
    expect(polls().at(-1)?.url.searchParams.get('connection_id')).toBe('c2')
    expect(JSON.parse(String(posts()[1]?.init.body))).toMatchObject([
      { connection_id: 'c2', type: 'join_room', payload: { room: 'lobby', since: '101' } },
    ])
    expect(been()).toEqual(['open poll'])
  })

  test('does not open a new session after the server has ended it for good', async () => {
    const { polls, answer, been } = await open()
    const payload = { code: 'RT_003', error_code: 'disconnected', message: 'bye', reconnect: false }
    await answer('101', [{ type: 'error', payload, correlation_id: 'x', timestamp: 1 }])
    expect(been()).toEqual(['suspended disconnected'])
    expect(polls()).toHaveLength(2)
  })

  test('is silent for as long as a request is held, whatever the heartbeat of the server', async () => {
    const { runtime, answer, polls, been } = await open()
    const heartbeat = { interval_ms: 100, timeout_ms: 500 }
    await answer('100', [welcomeFrame({ connection_id: 'c2', cursor: '100', heartbeat })], 'c2')
    been()
    await runtime.clock.advance(30_000)
    expect(been()).toEqual([])
    expect(polls()).toHaveLength(3)
  })

  test('gives a request up that is not answered ten seconds after its time', async () => {
    const { runtime, been } = await open()
    runtime.onRequest = ({ pathname }) => (pathname === '/realtime/send' ? jsonResponse([]) : undefined)
    await runtime.clock.advance(34_999)
    expect(been()).toEqual([])
    await runtime.clock.advance(1)
    expect(been()).toEqual(['waiting 500 ms unreachable'])
  })

  test('does not open a new session after the server has said that it leaves', async () => {
    const { polls, answer, been } = await open()
    await answer('101', [
      { type: 'server_draining', payload: { reason: 'deploy', reconnect_after_ms: 1234 }, timestamp: 1 },
    ])
    expect(been()).toEqual(['waiting 1234 ms draining'])
    expect(polls()).toHaveLength(2)
  })

  test('obeys what a proxy says in Retry-After', async () => {
    const { polls, been } = await open()
    polls()
      .at(-1)
      ?.answer(new Response('busy', { status: 503, headers: { 'retry-after': '7' } }))
    await settle()
    expect(been()).toEqual(['waiting 7500 ms unreachable'])
  })

  test('stops when the client is closed', async () => {
    const { runtime, client, polls } = await open()
    client.close()
    await runtime.clock.advance(60_000)
    expect(polls()).toHaveLength(2)
    expect(polls()[1]?.init.signal?.aborted).toBe(true)
  })
})
