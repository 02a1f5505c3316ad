import { Database } from 'bun:sqlite'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Frame } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'
import { holds, Ledger } from './accounting.ts'
import { Device } from './device.ts'
import { type Fault, must, none } from './fault.ts'
import { Hearing } from './hearing.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Messages published while the disk is as it should be, before and after. */
  readonly messages: number
}

/** The size of the disk that is going to be full, with room for what is published before. */
const DISK = '48m'
/** Milliseconds for which the store is locked: longer than it is waited for. */
const LOCKED_MS = 3000

export const badDisk: Fault<Size> = {
  number: 10,
  title:
    'a store that is full, locked or damaged refuses with a clear error; what is live goes on, and no restart is needed',
  short: { messages: 200 },
  long: { messages: 2000 },

  async run({ messages }) {
    const full = mayMount() ? await fullDisk(messages) : 'not tried: it takes the right to mount'
    const locked = await lockedStore(messages)
    const damaged = await damagedStore(messages)
    return { refused_when_full: full, refused_when_locked: locked, refused_when_damaged: damaged }
  },
}

async function fullDisk(messages: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-fault-'))
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  const mount = `mount -t tmpfs -o size=${DISK} none "$0" && exec "$@"`
  try {
    await using server = await FaultServer.start({
      folder,
      config: { store: { path: join(disk, 'tidings.db') } },
      under: ['unshare', '--map-root-user', '--mount', 'sh', '-c', mount, disk],
    })
    // The file system is the server's own: it is reached through the server.
    const filler = join('/proc', String(server.pid), 'root', disk, 'filler')
    return await onBadDisk(server, messages, {
      begin: () => fill(filler),
      end: () => rmSync(filler),
      recovers: true,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function lockedStore(messages: number): Promise<number> {
  await using server = await FaultServer.start()
  const other = new Database(server.storePath)
  try {
    return await onBadDisk(server, messages, {
      begin: () => other.run('BEGIN IMMEDIATE'),
      end: async () => {
        await Bun.sleep(LOCKED_MS)
        other.run('COMMIT')
      },
      recovers: true,
    })
  } finally {
    other.close()
  }
}

async function damagedStore(messages: number): Promise<number> {
  await using server = await FaultServer.start()
  return await onBadDisk(server, messages, {
    begin: async () => {
      await server.stop()
      await server.start()
      damage(server.storePath)
    },
    end: () => {},
    recovers: false,
  })
}

interface Trouble {
  readonly begin: () => unknown
  readonly end: () => unknown
  /** Whether the store is whole again after the end. */
  readonly recovers: boolean
}

/** @returns how many publishes were refused. */
async function onBadDisk(server: FaultServer, messages: number, trouble: Trouble): Promise<number> {
  await using cleanup = new AsyncDisposableStack()
  const ledger = new Ledger()
  const url = () => server.url
  const token = await server.token({ user: 'bob', device: 'p' })
  const publisher = new Publisher({ name: 'bob', url, token, ledger, padding: 'x'.repeat(2000) })
  const device = new Device({
    name: 'alice',
    user: 'alice',
    url,
    token: await server.token({ user: 'alice', device: 'd' }),
  })
  device.app.expect('user:alice', 0)
  cleanup.defer(() => publisher.stop())
  cleanup.defer(() => device.stop())
  await Promise.all([device.start(), publisher.start()])
  const publish = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await until(() => publisher.hasRoom)
      publisher.publish('user:alice')
    }
    await publisher.settled()
  }

  await publish(messages)
  must(ledger.count('failed') === 0, 'publishes failed on a good disk')
  await trouble.begin()
  // Whose inbox cannot be read is not let in; everybody else is.
  if (trouble.recovers) await until(() => device.isOpen)
  const speaker = await Hearing.open('websocket', { url: server.url, token: await server.token({ user: 'carol' }) })
  cleanup.defer(() => speaker.cut())
  const listener = await Hearing.open('websocket', {
    url: server.url,
    token: await server.token({ user: 'dave' }),
    query: { rooms: 'lobby' },
  })
  cleanup.defer(() => listener.cut())
  const during = publish(20)
  await live(speaker, listener)
  const reader = await Hearing.open('websocket', { url: server.url, token: await server.token({ user: 'erin' }) })
  cleanup.defer(() => reader.cut())
  const history = await reader.ask({ type: 'join_room', payload: { room: 'lobby', history: 10 } })
  must(['ack', 'error'].includes(history.type), `a join was answered with ${history.type}`)
  const ended = trouble.end()
  await Promise.all([during, ended])
  const refused = ledger.count('failed')
  if (trouble.recovers) must(refused > 0, 'nothing was refused')
  for (const error of publisher.errors) {
    const { code, error_code, retry_after_ms } = payloadOf(error)
    must(code === 'RT_009' && error_code === 'unavailable', `refused with ${JSON.stringify(error.payload)}`)
    must(Number(retry_after_ms) > 0, `refused without a time to try again: ${JSON.stringify(error.payload)}`)
  }
  await live(speaker, listener)
  if (!trouble.recovers) {
    const [first] = [...ledger.all()]
    await readDamaged(server, String((first?.cursor ?? 1) - 1))
    await live(speaker, listener)
    return refused
  }

  const before = ledger.count('ok')
  await publish(messages)
  must(ledger.count('failed') === refused, 'publishes fail though the disk is good again')
  must(ledger.count('ok') === before + messages, 'not everything was answered')
  const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
  await device.reaches(last)
  holds(ledger, [device.app])
  none('sent out of order', device.breaches)
  return refused
}

/** Who needs what is damaged is told so. */
async function readDamaged(server: FaultServer, cursor: string): Promise<void> {
  const token = await server.token({ user: 'alice', device: 'another' })
  const { connections } = await server.status()
  const socket = new Ws(`${server.url.replace('http', 'ws')}/realtime?token=${token}&cursor=${cursor}`)
  const frames: Frame[] = []
  let closed: number | undefined
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Frame))
  socket.on('close', (code: number) => {
    closed = code
  })
  await until(() => closed !== undefined)
  const error = frames.at(-1)
  must(
    error?.type === 'error' && closed === 1011,
    `a read of what is damaged ended with ${closed} ${JSON.stringify(error)}`,
  )
  must(payloadOf(error)['error_code'] === 'unavailable', `a read of what is damaged: ${JSON.stringify(error)}`)
  await until(async () => (await server.status()).connections <= connections)
}

/** What is stored nowhere is delivered all the same. */
async function live(speaker: Hearing, listener: Hearing): Promise<void> {
  const before = listener.frames.length
  const frame = { type: 'note', to: { user_id: 'dave' }, payload: 'live', ephemeral: true }
  const answer = await speaker.ask(frame)
  must(answer.type === 'ack', `a message that is not stored was refused: ${JSON.stringify(answer)}`)
  await until(() => listener.frames.slice(before).some(({ payload }) => payload === 'live'))
}

/** Writes until there is no more room. */
function fill(path: string): void {
  const file = openSync(path, 'w')
  try {
    for (const size of [1 << 20, 4096]) {
      try {
        for (;;) writeSync(file, Buffer.alloc(size, 1))
      } catch {
        // That is what it was for.
      }
    }
  } finally {
    closeSync(file)
  }
}

/** Overwrites all pages but the first dozen, which are the header and the tables' definitions. */
function damage(path: string): void {
  const PAGE = 4096
  const file = openSync(path, 'r+')
  const { size } = statSync(path)
  for (let at = 12 * PAGE; at < size; at += PAGE) writeSync(file, Buffer.alloc(PAGE, 0xa5), 0, PAGE, at)
  closeSync(file)
}

function mayMount(): boolean {
  if (Bun.which('unshare') === null) return false
  const command = ['unshare', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']
  return Bun.spawnSync(command).exitCode === 0
}
