/** Test clients over long polling. */
import { decodeJson } from '../protocol/json.ts'
import type { Frame, QueueingClient } from './client.ts'
import { HttpLink, refusalOf } from './http.ts'
import type { ConnectOptions } from './websocket.ts'

/** The answer to a poll. */
export interface PollResult {
  readonly connection_id: string
  readonly cursor: string
  readonly messages: readonly Frame[]
  readonly upgrade: { readonly transport: string; readonly url: string }
}

/** Connects and resolves after `welcome`; rejects with a `RefusedError`. */
export async function connectPoll(url: URL, { headers }: ConnectOptions): Promise<QueueingClient> {
  const link = new HttpLink(url, headers)
  const first = await poll(url, headers, link.leaving.signal)
  if (first instanceof Response) throw await refusalOf(first)
  void pollOn(link, url, headers, first).then(
    (how) => link.ended(how),
    (error: unknown) => link.ended(`a poll has failed: ${error}`),
  )
  return link.client.opened()
}

/** One poll; a response where it is refused. */
export async function poll(
  url: URL,
  headers: Readonly<Record<string, string>> | undefined,
  signal?: AbortSignal,
): Promise<PollResult | Response> {
  const response = await fetch(url, { headers: { ...headers }, ...(signal && { signal }) })
  if (!response.ok) return response
  return decodeJson(await response.text(), { maxDepth: 0, maxKeys: 0 }) as PollResult
}

/** Polls until the session is over. Resolves with what showed that. */
async function pollOn(
  link: HttpLink,
  url: URL,
  headers: Readonly<Record<string, string>> | undefined,
  first: PollResult,
): Promise<string> {
  let result = first
  for (;;) {
    for (const frame of result.messages) link.take(frame)
    if (link.over) return 'it was told'
    const next = link.authorised(url)
    next.searchParams.delete('rooms')
    next.searchParams.set('connection_id', result.connection_id)
    next.searchParams.set('cursor', result.cursor)
    const answer = await poll(next, headers, link.leaving.signal)
    if (answer instanceof Response) return `a poll was answered with ${answer.status}: ${await answer.text()}`
    if (answer.connection_id !== result.connection_id) return 'a poll was answered by another session'
    result = answer
  }
}
