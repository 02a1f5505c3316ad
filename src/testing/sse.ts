/** Test clients over Server-Sent Events. */
import type { QueueingClient } from './client.ts'
import { decodeFrame, HttpLink, refusalOf } from './http.ts'
import type { ConnectOptions } from './websocket.ts'

/** An event of a stream, as it stands there. */
export interface StreamEvent {
  readonly id: string | undefined
  readonly data: string | undefined
  readonly retry: string | undefined
}

/** Connects and resolves after `welcome`; rejects with a `RefusedError`. */
export async function connectSse(url: URL, { headers }: ConnectOptions): Promise<QueueingClient> {
  const link = new HttpLink(url, headers)
  const response = await fetch(url, { headers: { ...headers }, signal: link.leaving.signal })
  if (!response.ok || response.body === null) throw await refusalOf(response)
  void readEvents(response.body, ({ data }) => data !== undefined && link.take(decodeFrame(data))).then(
    () => link.ended('the stream has ended'),
    (error: unknown) => link.ended(`the stream was cut: ${error}`),
  )
  return link.client.opened()
}

/**
 * Reads a stream event by event, as the server writes them: lines that end with LF, one `data` line at most.
 * @throws where a line is none of an event's.
 */
export async function readEvents(body: ReadableStream<Uint8Array>, take: (event: StreamEvent) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) take(readEvent(block))
  }
}

function readEvent(block: string): StreamEvent {
  const fields = new Map<string, string>()
  for (const line of block.split('\n')) {
    const [, name, value] = /^(id|data|retry): (.*)$/s.exec(line) ?? []
    if (name === undefined || value === undefined || fields.has(name))
      throw new Error(`not a line of an event: ${line}`)
    fields.set(name, value)
  }
  return { id: fields.get('id'), data: fields.get('data'), retry: fields.get('retry') }
}
