/**
 * Plays the dialogues of the documents against a server. A dialogue is a block of lines:
 *
 *   alice opens /realtime?rooms=lobby as {"user_id": "alice"}
 *   alice -> {"type": "ping"}                what the client sends
 *   alice <- {"type": "pong", …}             what it gets next, in this order
 *   alice <- close 4001 token_expired        how its connection ends
 *   alice closes                         says goodbye
 *   alice is cut off                     without a word
 *
 * `$alice.connection_id`, `$alice.ack_id` and `$alice.cursor` stand for what alice was told last: her connection, the question
 * that she was asked, the cursor of a frame.
 *
 * Without `as`, a token of a user of that name opens the connection; `as nobody` shows none. In frames that come, `…`
 * stands for any value or any further keys; times, cursors and ids are compared by their type. At the end nobody may have got
 * anything that the dialogue does not show. A line that begins with a space goes on with the one before.
 */
import { expect } from 'bun:test'
import { issueToken } from '../../src/auth/issue.ts'
import { loadConfig, newSecret } from '../../src/config.ts'
import { silentLog } from '../../src/core/log.ts'
import { startServer, type Tidings } from '../../src/index.ts'
import { ROOT } from '../cli/process.ts'
import type { Block } from './markdown.ts'

/** Keys whose values differ each time. */
const VARYING = new Set([
  'timestamp',
  'server_time',
  'cursor',
  'connection_id',
  'ack_id',
  'expires_at',
  'expires_in_ms',
])
const MADE_ID = /^[\w-]{8}[0-9a-z]+$/
const ANY = '…'

export async function play(block: Block): Promise<void> {
  const option = (name: string) => block.words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1)
  const secret = newSecret()
  const file = option('config')
  const flags = { 'server.port': '0', 'store.path': ':memory:', 'auth.secret': secret }
  const { config } = loadConfig({ file: file && `${ROOT}${file}`, env: {}, flags, mode: 'development' })
  // An address of its own for each block: an application keeps what it knows in its module.
  const app: Tidings | undefined = option('app') && (await import(`${ROOT}${option('app')}?${block.at}`)).default
  const server = await startServer(config, {
    ...(app && { app }),
    mode: 'development',
    log: silentLog,
  })
  const clients = new Map<string, Client>()
  const client = (name: string): Client => {
    const found = clients.get(name)
    if (found === undefined) throw new Error(`${name} has not opened a connection`)
    return found
  }
  const told = (what: string): string =>
    what.replace(/\$(\w+)\.(\w+)/g, (_, name, key) => client(name).told[key] ?? `no ${key} of ${name}`)
  try {
    for (const line of linesOf(block.text)) {
      const [, name = '', does, what = ''] = /^(\w+) +(opens|->|<-|closes|is cut off) *(.*)$/.exec(line) ?? []
      if (does === 'opens') clients.set(name, await open(server.url, secret, name, told(what)))
      else if (does === '->') client(name).socket.send(JSON.stringify(JSON.parse(told(what))))
      else if (does === 'closes') client(name).socket.close(1000)
      else if (does === 'is cut off') cut(client(name).socket)
      else if (does === '<-') await expectNext(client(name), what)
      else throw new Error(`${block.at}: not a line of a dialogue: ${line}`)
    }
    for (const one of clients.values()) await expectNothingMore(one)
  } finally {
    for (const { socket } of clients.values()) socket.close()
    await server.stop()
  }
}

interface Client {
  readonly socket: WebSocket
  readonly next: () => Promise<unknown>
  /** The last that it was told of each name. */
  readonly told: Record<string, string>
}

interface End {
  readonly close: number
  readonly reason: string
}

function linesOf(text: string): string[] {
  return text
    .replace(/\n +/g, ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
}

async function open(url: string, secret: string, name: string, what: string): Promise<Client> {
  const [, path = '', as] = /^(\S+)(?: as (.*))?$/.exec(what) ?? []
  const claims = as === undefined ? { user_id: name } : as === 'nobody' ? undefined : JSON.parse(as)
  const token = claims && (await issueToken(secret, claims, 3600))
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}`, { headers } as never)
  const arrived: unknown[] = []
  const told: Record<string, string> = {}
  let wake = Promise.withResolvers<void>()
  const arrive = (value: unknown): void => {
    arrived.push(value)
    wake.resolve()
    wake = Promise.withResolvers()
  }
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data))
    for (const [key, value] of Object.entries(worthKnowing(frame))) if (typeof value === 'string') told[key] = value
    arrive(frame)
  }
  socket.onclose = ({ code, reason }) => arrive({ close: code, reason } satisfies End)
  const next = async (): Promise<unknown> => {
    while (arrived.length === 0) await wake.promise
    return arrived.shift()
  }
  while (arrived.length === 0) await wake.promise
  return { socket, next, told }
}

/** What a client keeps of a frame. The cursor in the answer to a publisher names the message and is no position. */
function worthKnowing(frame: Record<string, unknown>): Record<string, unknown> {
  const payload = isObject(frame.payload) ? frame.payload : {}
  const told = 'online' in payload ? undefined : payload.cursor
  return {
    ack_id: frame.ack_id,
    cursor: frame.history ? undefined : (frame.cursor ?? told),
    connection_id: frame.type === 'welcome' ? payload.connection_id : undefined,
  }
}

/** Ends a connection as a broken network does. */
function cut(socket: WebSocket): void {
  ;(socket as unknown as { terminate(): void }).terminate()
}

async function expectNext(client: Client, shown: string): Promise<void> {
  const expected = expectation(shown)
  let frame = await client.next()
  // A dialogue that is about something else leaves the welcome out.
  if (isType(frame, 'welcome') && !isType(expected, 'welcome')) frame = await client.next()
  expect(masked(frame, expected)).toEqual(expected as object)
}

/** A ping's answer comes after everything that was sent before it. */
async function expectNothingMore(client: Client): Promise<void> {
  if (client.socket.readyState !== WebSocket.OPEN) return
  client.socket.send('{"type":"ping","payload":"the end of the dialogue"}')
  let frame = await client.next()
  if (isType(frame, 'welcome')) frame = await client.next()
  expect(frame).toMatchObject({ type: 'pong', payload: { echo: 'the end of the dialogue' } })
}

function expectation(shown: string): unknown {
  const close = /^close (\d+) ?(.*)$/.exec(shown)
  if (close !== null) return { close: Number(close[1]), reason: close[2] ?? '' } satisfies End
  const furtherKeys = shown.replace(/([{,]\s*)…(?=\s*\})/g, `$1"${ANY}": true`)
  return JSON.parse(furtherKeys.replace(/([:[,]\s*)…/g, `$1"${ANY}"`))
}

/** What came, with that replaced by what was shown which may differ. */
function masked(actual: unknown, shown: unknown, key = ''): unknown {
  if (shown === ANY) return ANY
  if (Array.isArray(actual) && Array.isArray(shown)) return actual.map((item, index) => masked(item, shown[index]))
  if (!isObject(actual) || !isObject(shown)) {
    return varies(key, actual, shown) ? shown : actual
  }
  const open = Object.hasOwn(shown, ANY)
  const entries = Object.entries(actual)
    .filter(([name]) => !open || Object.hasOwn(shown, name))
    .map(([name, value]) => [name, masked(value, shown[name], name)])
  return { ...Object.fromEntries(entries), ...(open && { [ANY]: true }) }
}

/** Whether two values are of the same kind and differ each time: times, cursors, and ids that the server makes. */
function varies(key: string, actual: unknown, shown: unknown): boolean {
  if (key === 'id') return MADE_ID.test(String(actual)) && MADE_ID.test(String(shown))
  return VARYING.has(key) && typeof actual === typeof shown
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isType(value: unknown, type: string): boolean {
  return isObject(value) && value.type === type
}
