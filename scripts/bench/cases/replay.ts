import type { Case, Measured } from '../case.ts'
import type { Client } from '../client.ts'
import { echoes, noticed } from '../echoes.ts'
import { ACK, isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'

const CLIENTS = 1000
const MESSAGES = 1000
/** Clients that come back before the measured ones. */
const WARM_UP = 100
const IN_FLIGHT = 32

/** Everybody comes back at once, after everybody missed the same. */
async function run(load: Load): Promise<Measured> {
  await load.warmUp()
  // A moment is a position too.
  const before = Date.now() * 1000
  await publishAll(load)
  leave(await resume(load, WARM_UP, before))
  const ended = Promise.withResolvers<void>()
  const helped = load.assistant(ended.promise)
  await Bun.sleep(load.size(3500, 2000))
  const started = performance.now()
  await load.measure(() => resume(load, CLIENTS, before), 'the replay')
  const seconds = (performance.now() - started) / 1000
  ended.resolve()
  const operations = CLIENTS * MESSAGES
  const server_s = load.usage.server_cpu * load.usage.seconds
  return { ...(await helped), seconds, server_s, replayed: operations / seconds, operations }
}

async function publishAll(load: Load): Promise<void> {
  const [sender] = await load.open(1, { rooms: () => ['bench'] })
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, 'bench', IN_FLIGHT)
  let sent = 0
  let acks = 0
  const { promise, resolve } = Promise.withResolvers<void>()
  load.onFrame = (_, signature) => {
    if (signature === ACK && ++acks === MESSAGES) resolve()
  }
  load.onChunk = () => {
    const count = Math.min(IN_FLIGHT - (sent - acks), MESSAGES - sent)
    sent += count
    if (count > 0) publisher.send(count)
  }
  load.onChunk(sender)
  await load.until(promise, 'the publishes')
  load.onChunk = () => {}
  sender.close()
}

/** Connects and receives all. */
async function resume(load: Load, clients: number, cursor: number): Promise<Client[]> {
  let missing = clients * MESSAGES
  const { promise, resolve } = Promise.withResolvers<void>()
  load.onFrame = (_, signature) => {
    if (isMessage(signature) && --missing === 0) resolve()
  }
  const opened = await load.open(clients, { rooms: () => ['bench'], cursor })
  await load.until(promise, 'the last message')
  return opened
}

function leave(clients: readonly Client[]): void {
  for (const client of clients) client.close()
}

async function assist(load: Load): Promise<Measured> {
  return await echoes(load, () => load.released())
}

export const replay: Case = {
  name: 'replay',
  title: '1,000 clients resume at once and are read 1,000 messages each',
  sides: [{ name: 'Tidings', flags: ['--rooms=[{"pattern":"*","history":{"max_messages":2000}}]'] }],
  metrics: [
    { key: 'seconds', title: 'from the first handshake to the last message', unit: 's', better: 'less' },
    { key: 'replayed', title: 'messages per second', unit: '/s', better: 'more' },
    { key: 'server_s', title: "server's time for all of it", unit: 's', better: 'less' },
    ...noticed(),
  ],
  run,
  assist,
}
