import type { Frame } from '../../src/testing/index.ts'
import { payloadOf } from '../support/payload.ts'
import { until } from '../support/until.ts'
import { Ws } from '../support/ws-client.ts'
import { type Fault, must } from './fault.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly frames: number
}

/** Handlers that take their time, and write down when they are done. */
const APP = `
import { tidings } from 'tidings'
const effects = []
export default tidings()
  .on('step', async ({ payload }) => {
    await new Promise((resolve) => setTimeout(resolve, payload.ms))
    effects.push(payload.n)
    return payload.n
  })
  .on('quick', ({ payload }) => {
    effects.push(payload.n)
    return payload.n
  })
  .on('effects', () => effects)
`

/** Frames of every kind, sent without waiting for any answer. */
export const orderOnOneConnection: Fault<Size> = {
  number: 5,
  title: 'frames of one connection take effect and are answered in order, however long each takes',
  short: { frames: 600 },
  long: { frames: 5000 },

  async run({ frames }, chance) {
    await using server = await FaultServer.start({ app: APP, config: { limits: { max_pending_bytes: 16 << 20 } } })
    const listen = new URL(`/realtime?rooms=lobby&token=${await server.token({ user: 'listener' })}`, server.url)
    const speak = new URL(`/realtime?token=${await server.token({ user: 'speaker', roles: ['admin'] })}`, server.url)
    const listener = await open(listen)
    const speaker = await open(speak)

    const expected: string[] = []
    const effects: number[] = []
    const published: number[] = []
    const said: string[] = []
    for (let n = 0; n < frames; n++) {
      const id = `f${n}`
      const kind = chance.below(10)
      const frame = (() => {
        if (kind < 4) return { type: 'step', payload: { n, ms: chance.below(6) } }
        if (kind === 4) return { type: 'quick', payload: { n } }
        if (kind < 8) return { type: 'note', to: { room: 'lobby' }, payload: n }
        if (kind === 8) return { type: 'note', to: { room: 'lobby' }, payload: n, ephemeral: true }
        return { type: 'ping', payload: n }
      })()
      if ('to' in frame) published.push(n)
      else if (frame.type !== 'ping') effects.push(n)
      expected.push(id)
      said.push(JSON.stringify({ ...frame, id }))
    }
    const began = performance.now()
    for (const frame of said) speaker.socket.send(frame)
    speaker.socket.send(JSON.stringify({ type: 'effects', id: 'effects' }))
    await until(() => speaker.frames.some((frame) => frame.correlation_id === 'effects'))
    const seconds = (performance.now() - began) / 1000
    await until(() => notes(listener.frames).length >= published.length)

    const answers = speaker.frames.filter(({ type }) => type !== 'welcome')
    const wrong = answers.find(({ type }) => type !== 'ack' && type !== 'pong')
    must(wrong === undefined, `a frame was not taken: ${JSON.stringify(wrong)}`)
    same(
      'answers',
      [...expected, 'effects'],
      answers.map(({ correlation_id }) => correlation_id),
    )
    same('effects', effects, payloadOf(answers.at(-1) as Frame)['result'] as unknown[])
    same('deliveries', published, notes(listener.frames))
    speaker.socket.terminate()
    listener.socket.terminate()
    return { frames, published: published.length, handled: effects.length, seconds: seconds.toFixed(1) }
  },
}

async function open(url: URL) {
  const frames: Frame[] = []
  const socket = new Ws(url.href.replace('http', 'ws'), { perMessageDeflate: false })
  socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as Frame))
  await until(() => frames[0]?.type === 'welcome')
  return { socket, frames }
}

function notes(frames: readonly Frame[]): unknown[] {
  return frames.filter(({ type }) => type === 'note').map(({ payload }) => payload)
}

function same(what: string, expected: readonly unknown[], found: readonly unknown[]): void {
  const at = expected.findIndex((value, n) => value !== found[n])
  must(
    at === -1 && found.length === expected.length,
    `${what}: ${found.length} of ${expected.length}; at ${at} ${JSON.stringify(found.slice(at, at + 5))} where ${JSON.stringify(expected.slice(at, at + 5))} was expected`,
  )
}
