import { expect, test } from 'bun:test'
import { ACK, clientFrame, MESSAGE, PONG } from '../../../scripts/bench/frames.ts'
import { Load } from '../../../scripts/bench/load.ts'
import { type Server, startBaseline } from '../../../scripts/bench/processes.ts'
import { Publisher } from '../../../scripts/bench/publisher.ts'
import { catchTemplates, pingFrame, type Templates } from '../../../scripts/bench/templates.ts'

const TEMPLATES: Templates = {
  message: JSON.stringify({ type: 'Bench', payload: 'x'.repeat(126), room: 'bench' }),
  ack: JSON.stringify({ type: 'ack', payload: { online: 1 } }),
  pong: JSON.stringify({ type: 'pong', payload: { echo: 'x' } }),
  welcome: JSON.stringify({ type: 'welcome', payload: {} }),
}

test('the load sees each message at every member but its sender, with an acknowledgement, in the bytes given', async () => {
  await using server = await startBaseline(TEMPLATES)
  const load = loadOn(server)
  const [sender, ...members] = await load.open(5, { rooms: () => ['bench'] })
  if (sender === undefined) throw new Error('no client')
  const seen = new Map<string, number>()
  const all = Promise.withResolvers<void>()
  load.onFrame = (client, signature, bytes) => {
    const what = `${client === sender ? 'sender' : 'member'} ${signature === MESSAGE ? 'message' : signature} ${bytes}`
    seen.set(what, (seen.get(what) ?? 0) + 1)
    if (load.frames === 5 + 3 * 4 + 3) all.resolve()
  }
  new Publisher(sender, 'bench', 3).send(3)
  await load.until(all.promise, 'the messages')
  expect([...seen].sort()).toEqual([
    [`member message ${TEMPLATES.message.length}`, 12],
    [`sender ${ACK} ${TEMPLATES.ack.length}`, 3],
  ])
  for (const client of [sender, ...members]) client.close()
})

test('a client without a room is answered with the bytes of a pong', async () => {
  await using server = await startBaseline(TEMPLATES)
  const load = loadOn(server)
  const [client] = await load.open(1)
  const answered = Promise.withResolvers<number[]>()
  load.onFrame = (_, signature, bytes) => answered.resolve([signature, bytes])
  client?.write(clientFrame(pingFrame()))
  expect(await load.until(answered.promise, 'the pong')).toEqual([PONG, TEMPLATES.pong.length])
  client?.close()
})

test('a run ends with the reason when the server drops a client', async () => {
  const server = await startBaseline(TEMPLATES)
  const load = loadOn(server)
  await load.open(1)
  const reason = load.until(new Promise(() => {}), 'ever').catch((error) => error.message)
  await server[Symbol.asyncDispose]()
  expect(await reason).toBe('the server dropped client 0 (open)')
})

test('what is not Tidings is not taken for it: its frames are missed by name', async () => {
  await using server = await startBaseline({ ...TEMPLATES, welcome: '{"type":"error","payload":{}}' })
  await expect(catchTemplates(server.port, 'a secret of at least thirty-two bytes')).rejects.toThrow('Tidings answered')
})

function loadOn(server: Server): Load {
  const { port, pid } = server
  return new Load({
    case: '',
    role: 'run',
    servers: [{ port, pid }],
    redis: undefined,
    cores: [],
    secret: 'x'.repeat(32),
    quick: true,
    query: '',
    transport: 'websocket',
  })
}
