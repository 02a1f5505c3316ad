import { expectTypeOf, test } from 'bun:test'
import { tidings } from 'tidings'
import { Type } from 'typebox'
import { type Message, type ServerEvents, TidingsClient } from '../../src/client/index.ts'
import { setUp } from './set-up.ts'

/** What the compiler says is what is tested: nothing here connects. */
const app = tidings()
  .on('vote_track', { payload: Type.Object({ track_id: Type.String() }) }, ({ payload }) => ({
    accepted: payload.track_id !== '',
  }))
  .on('who', async ({ user }) => user.id)

type App = typeof app

interface WithEvents {
  readonly '~types'?: {
    requests: { skip: { payload: { by?: number } | undefined; result: null } }
    events: { track_voted: { track_id: string } }
  }
}

function typed<T>(): TidingsClient<T> {
  return new TidingsClient<T>({ url: 'http://localhost/realtime', environment: setUp().runtime.environment })
}

test('a request takes the payload of its handler and gives its result', () => {
  const client = typed<App>()
  const vote = () => client.request('vote_track', { track_id: 't' })
  expectTypeOf(vote).returns.resolves.toEqualTypeOf<{ accepted: boolean }>()
  const who = () => client.request('who')
  expectTypeOf(who).returns.resolves.toEqualTypeOf<string>()
  expectTypeOf<Parameters<typeof client.request>[0]>().toEqualTypeOf<'vote_track' | 'who'>()
  // @ts-expect-error the payload has another type
  void (() => client.request('vote_track', { track_id: 5 }))
  // @ts-expect-error the payload is missing
  void (() => client.request('vote_track'))
  // @ts-expect-error there is no such handler
  void (() => client.request('vote_trak', { track_id: 't' }))
})

test('a payload that may be absent may be left out', () => {
  const client = typed<WithEvents>()
  void (() => [client.request('skip'), client.request('skip', { by: 2 }), client.request('skip', undefined)])
})

test('listeners know the app’s events, and those of the server', () => {
  const client = typed<WithEvents>()
  client.on('track_voted', (payload, message) => {
    expectTypeOf(payload).toEqualTypeOf<{ track_id: string }>()
    expectTypeOf(message).toEqualTypeOf<Message<{ track_id: string }>>()
  })
  client.room('lobby').on('presence', (payload) => expectTypeOf(payload).toEqualTypeOf<ServerEvents['presence']>())
  client.on('unknown', (payload) => expectTypeOf(payload).toBeUnknown())
  // @ts-expect-error the payload has another type
  void (() => client.publish('all', 'track_voted', { track_id: 5 }))
})

test('without an app everything may be said, and a listener may say what it expects', () => {
  const client = typed<unknown>()
  const anything = () => client.request('anything', { at: 'all' })
  expectTypeOf(anything).returns.resolves.toBeUnknown()
  client.on('chat', ({ text }: { text: string }) => text.length)
  client.on('gap', (gap) => expectTypeOf(gap).toEqualTypeOf<ServerEvents['gap']>())
})
