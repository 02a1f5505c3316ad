import type { Frame } from '../../src/testing/index.ts'
import { RawSocket, requestHead } from '../support/raw.ts'
import { until } from '../support/until.ts'
import { type Fault, must, percentile } from './fault.ts'
import { Hearing, TRANSPORTS } from './hearing.ts'
import { FaultServer } from './server.ts'

interface Size {
  /** Milliseconds for which a stream and a poll say nothing. */
  readonly idleMs: number
  /** Streams and polls that are given up, of each so many. */
  readonly aborts: number
}

/** Texts that an event stream could break, or be broken by. */
const TEXTS: Readonly<Record<string, string>> = {
  'line feeds': 'a\nb\n\nc\n',
  'carriage returns': 'a\rb\r\rc\r',
  both: 'a\r\nb\r\n\r\nc\n\rd',
  'separators of lines and paragraphs': 'a\u2028b\u2029c\u0085d\u000be\u000cf',
  'a byte order mark': '\ufeffa\ufeff',
  'an event of its own': '\n\nid: 1\nevent: close\nretry: 1\ndata: {"type":"forged"}\n\n',
  'a zero': 'a\u0000b',
  'half of a pair': 'a\ud83d',
  'other planes': '👩‍👩‍👧‍👦𝔘𝔫𝔦𝔠𝔬𝔡𝔢',
  'a megabyte': '\r\n\u2028x'.repeat(180_000),
}

/** What no position is. */
const FORGED = ['abc', '-1', '1.5', '0x10', '1e9', '99999999999999999999', '1 OR 1', '٣']
/** Milliseconds after which nothing is left of requests that were given up. */
const FREED_MS = 1000

export const streams: Fault<Size> = {
  number: 18,
  title:
    'event streams and polls carry any text, outlast silence, refuse forged positions, and are gone with their clients',
  short: { idleMs: 14_000, aborts: 150 },
  long: { idleMs: 65_000, aborts: 5000 },

  async run({ idleMs, aborts }) {
    await using server = await FaultServer.start({
      config: { limits: { max_message_bytes: 4 << 20, max_pending_bytes: 16 << 20 }, poll: { grace_ms: 5000 } },
    })
    const busy = async () => {
      const texts = await carry(server)
      const forged = await refuse(server)
      return { texts, forged, freed: await abandon(server, aborts) }
    }
    const [heartbeats, { texts, forged, freed }] = await Promise.all([outlast(server, idleMs), busy()])
    return { texts, forged, aborted: aborts * 2, freed_p100_ms: freed, idle_ms: idleMs, heartbeats }
  },
}

async function carry(server: FaultServer): Promise<number> {
  const token = await server.token({ user: 'reader' })
  const hearings = await Promise.all(
    TRANSPORTS.map((transport) => Hearing.open(transport, { url: server.url, token, query: { rooms: 'texts' } })),
  )
  for (const [name, text] of Object.entries(TEXTS)) {
    const body = { to: { room: 'texts' }, type: 'text', payload: { [name]: text } }
    const response = await server.admin('/realtime/publish', { method: 'POST', body })
    must(response.ok, `${name}: a publish was answered with ${response.status} ${await response.text()}`)
  }
  const received = (frames: readonly Frame[]) => frames.filter(({ type }) => type === 'text')
  await until(() => hearings.every(({ frames }) => received(frames).length === Object.keys(TEXTS).length))
  const wanted = Object.entries(TEXTS).map(([name, text]) => JSON.stringify({ [name]: text }))
  for (const [n, { frames }] of hearings.entries()) {
    const found = received(frames).map(({ payload }) => JSON.stringify(payload))
    const wrong = wanted.findIndex((text, at) => text !== found[at])
    must(wrong === -1, `${TRANSPORTS[n]} changed ${wanted[wrong]?.slice(0, 100)} to ${found[wrong]?.slice(0, 100)}`)
    must(!frames.some(({ type }) => type === 'forged'), `${TRANSPORTS[n]} let a text be an event`)
  }
  for (const hearing of hearings) hearing.cut()
  return wanted.length
}

async function refuse(server: FaultServer): Promise<number> {
  const token = await server.token({ user: 'forger' })
  for (const id of FORGED) {
    using raw = await RawSocket.open(server.url)
    const headers = { upgrade: undefined, connection: undefined, 'last-event-id': id }
    raw.write(requestHead(`/realtime/sse?token=${token}`, headers))
    const { status, body } = await raw.answer()
    must(status === 400 && body.error?.code === 'RT_004', `Last-Event-ID ${id} was answered with ${status}`)
    const poll = await fetch(`${server.url}/realtime/poll?${new URLSearchParams({ token, cursor: id })}`)
    must(poll.status === 400, `a poll with the cursor ${id} was answered with ${poll.status}`)
  }
  const future = String(Math.round((Date.now() + 3_600_000) * 1000))
  const hearing = await Hearing.open('sse', { url: server.url, token, lastEventId: future })
  must(!hearing.resume.recovered, 'a position from the future was called recovered')
  hearing.cut()
  return FORGED.length
}

/** Opens streams and held polls and gives them up. @returns the milliseconds until nothing was left of them. */
async function abandon(server: FaultServer, count: number): Promise<number> {
  const token = await server.token({ user: 'leaver' })
  const open = async () => {
    const response = await server.admin('/realtime/users/leaver')
    return ((await response.json()) as { connections: number }).connections
  }
  const descriptors = server.descriptors()
  const plain = { upgrade: undefined, connection: undefined }
  const request = async (path: string): Promise<RawSocket> => {
    const raw = await RawSocket.open(server.url)
    raw.write(requestHead(`${path}?token=${token}&rooms=left`, plain))
    return raw
  }
  const streams: RawSocket[] = []
  const polls: { raw: RawSocket; more: string }[] = []
  for (let n = 0; n < count; n++) {
    const stream = await request('/realtime/sse')
    await stream.head()
    streams.push(stream)
    const first = await request('/realtime/poll')
    const { connection_id, cursor } = (await first.answer()).body as unknown as {
      connection_id: string
      cursor: string
    }
    first.reset()
    const raw = await RawSocket.open(server.url)
    const more = `token=${token}&connection_id=${connection_id}&cursor=${cursor}&timeout=60`
    raw.write(requestHead(`/realtime/poll?${more}`, plain))
    polls.push({ raw, more })
  }
  const samples: number[] = []
  await until(async () => (await open()) === count * 2)
  let began = performance.now()
  for (const { raw } of polls) raw.reset()
  await until(() => server.descriptors() <= descriptors + count + 4)
  samples.push(performance.now() - began)
  began = performance.now()
  for (const stream of streams) stream.reset()
  await until(async () => (await open()) <= count)
  await until(() => server.descriptors() <= descriptors + 4)
  samples.push(performance.now() - began)
  const slowest = percentile(samples, 100)
  must(slowest < FREED_MS, `what ${count} had given up was freed after ${slowest} ms`)
  // A poll's session waits for the next poll, and ends when none comes.
  await until(async () => (await open()) === 0)
  return slowest
}

/** A stream and a poll to which nothing is said, by clients that say nothing. @returns heartbeats that were seen. */
async function outlast(server: FaultServer, idleMs: number): Promise<number> {
  const token = await server.token({ user: 'idle' })
  using raw = await RawSocket.open(server.url)
  raw.write(requestHead(`/realtime/sse?token=${token}`, { upgrade: undefined, connection: undefined }))
  await raw.head()
  const seconds = Math.min(60, Math.ceil(idleMs / 1000))
  const polling = fetch(`${server.url}/realtime/poll?token=${token}&timeout=0`)
  const { connection_id, cursor } = (await (await polling).json()) as { connection_id: string; cursor: string }
  const held = fetch(
    `${server.url}/realtime/poll?${new URLSearchParams({ token, connection_id, cursor, timeout: String(seconds) })}`,
  )
  await Bun.sleep(idleMs)
  must(raw.ended === undefined, `a stream to which nothing was said ended with ${raw.ended} within ${idleMs} ms`)
  const answer = (await (await held).json()) as { messages: unknown[]; connection_id: string }
  must(answer.messages.length === 0 && answer.connection_id === connection_id, `a held poll: ${JSON.stringify(answer)}`)
  const { status } = await server.admin('/realtime/publish', {
    method: 'POST',
    body: { to: { user_id: 'idle' }, type: 'text', payload: 'still there' },
  })
  must(status === 200, `a publish was answered with ${status}`)
  await until(() => raw.text.includes('still there'))
  return raw.text.split('\n').filter((line) => line.startsWith('id:')).length
}
