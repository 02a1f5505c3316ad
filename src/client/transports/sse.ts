/**
 * Server-Sent Events, read by `fetch` and not by `EventSource`: that one can neither send a header nor read a status, and
 * reconnects by rules of its own.
 */
import type { ServerFrame } from '../../protocol/frames.ts'
import { jsonCodec } from '../codec.ts'
import { SseParser } from '../sse-parser.ts'
import { HttpLink, type Receive } from './http-link.ts'
import type { OpenLink } from './transport.ts'

export const openSse: OpenLink = (...context) => new HttpLink(['sse', readStream], ...context)

const readStream: Receive = async (link, _environment, { query }, events) => {
  const response = await link.request('/sse', query)
  if (response === undefined) return
  const reader = response.body?.getReader()
  if (reader === undefined || !response.headers.get('content-type')?.startsWith('text/event-stream')) {
    throw new Error('no event stream')
  }
  const parser = new SseParser(({ id, data }) => {
    if (link.over) return
    if (data !== undefined) {
      let frame: ServerFrame
      try {
        frame = jsonCodec.decode(data) as ServerFrame
      } catch (cause) {
        events.bad(cause)
        return
      }
      link.take(frame)
    } else if (id !== undefined) events.position(id)
  })
  const decoder = new TextDecoder()
  for (;;) {
    const { done, value } = await reader.read()
    if (done || link.over) return
    events.alive()
    parser.push(decoder.decode(value, { stream: true }))
  }
}
