/** Two polls of one session at the same time. */
import { type Chance, must } from './fault.ts'

export interface Polled {
  /** Where the next poll goes to. */
  readonly url: () => string
  readonly token: string
}

/** Polls one session twice at once, over and over. @returns the keys of what came, in the order of its positions. */
export async function pollTwice({ url, token }: Polled, rounds: number, chance: Chance): Promise<string[]> {
  interface Answer {
    readonly connection_id: string
    readonly cursor: string
    readonly messages: readonly { readonly payload?: { readonly key?: string }; readonly cursor?: string }[]
  }
  const poll = async (more: Readonly<Record<string, string>>): Promise<Answer> => {
    const query = new URLSearchParams({ token, timeout: '1', ...more })
    const response = await fetch(`${url()}/realtime/poll?${query}`)
    const answer = (await response.json()) as Answer
    must(response.ok, `a poll was answered with ${response.status} ${JSON.stringify(answer)}`)
    return answer
  }
  const keys: string[] = []
  const keep = ({ messages }: Answer) => {
    for (const { payload } of messages) if (payload?.key !== undefined) keys.push(payload.key)
  }
  const first = await poll({})
  keep(first)
  let { cursor } = first
  for (let round = 0; round < rounds; round++) {
    const where = { connection_id: first.connection_id, cursor }
    const older = poll(where)
    await Bun.sleep(chance.below(10))
    const both = await Promise.all([older, poll(where)])
    for (const answer of both) must(answer.connection_id === first.connection_id, 'a poll opened another session')
    // What came by both came from the same position: a client takes the first, and goes on from the further one.
    const [one, other] = both
    if (Number(one.cursor) >= Number(other.cursor)) keep(one)
    else keep(other)
    cursor = Number(one.cursor) >= Number(other.cursor) ? one.cursor : other.cursor
  }
  return keys
}
