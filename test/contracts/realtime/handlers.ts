import { describe, expect, test } from 'bun:test'
import { names } from '../../support/names.ts'
import { payloadOf, types } from '../../support/payload.ts'
import type { Place } from '../realtime.ts'

export function handlerTests({ connect, host }: Place): void {
  describe('a handler', () => {
    test.concurrent('answers with what it returns', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      expect(await client.request({ type: 'echo', id: 'h', payload: { a: [1] } })).toEqual({
        type: 'ack',
        payload: { result: { a: [1] } },
        timestamp: expect.any(Number),
        correlation_id: 'h',
      })
      expect((await client.request({ type: 'nothing' })).payload).toEqual({})
    })

    test.concurrent('that throws or rejects answers RT_009 without a word of why, and hurts nobody', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      for (const type of ['throws', 'rejects']) {
        const answer = await client.request({ type, id: `${alice}-${type}` })
        expect(answer.payload).toEqual({
          code: 'RT_009',
          error_code: 'internal_error',
          message: 'Internal error',
          reconnect: true,
        })
        const line = await host().logged('frame_failed', { correlation_id: `${alice}-${type}` })
        expect(line).toMatchObject({ level: 'error', user_id: alice, error: { message: 'on purpose: /etc/passwd' } })
      }
      expect((await client.request({ type: 'echo', payload: 1 })).payload).toEqual({ result: 1 })
    })

    test.concurrent('may say what is wrong in its own words', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      expect((await client.request({ type: 'refuses' })).payload).toEqual({
        code: 'RT_004',
        error_code: 'version_conflict',
        message: 'Somebody was faster',
        reconnect: false,
        details: { version: 7 },
      })
    })

    test.concurrent('that takes too long is answered for, once, and the next frame goes on', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      for (const type of ['never', 'late']) {
        expect((await client.request({ type, id: type })).payload).toEqual({
          code: 'RT_009',
          error_code: 'handler_timeout',
          message: 'The handler took longer than 1000 ms',
          reconnect: true,
        })
      }
      // What the late one returns after 1300 ms is for nobody: by the end of the next two it has returned.
      for (const ms of [200, 200]) await client.request({ type: 'slow_echo', payload: { n: 1, ms } })
      expect(await client.received()).toEqual([])
    })

    test.concurrent('gets no payload that its schema refuses, and the client learns which field', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      const field = async (payload: unknown) => {
        const answer = payloadOf(await client.request({ type: 'slow_echo', payload }))
        return [answer['error_code'], (answer['details'] as { field: string }).field]
      }
      expect(await field({ n: 'one', ms: 0 })).toEqual(['invalid_message', 'payload.n'])
      expect(await field({ n: 1.5, ms: 0 })).toEqual(['invalid_message', 'payload.n'])
      expect(await field('text')).toEqual(['invalid_message', 'payload'])
      expect(await field(undefined)).toEqual(['invalid_message', 'payload'])
    })

    test.concurrent('with a guard is called by members only, who mean the room they are in', async () => {
      const { alice, bob, lobby, hall } = names()
      await using client = await connect({ user: alice, rooms: [lobby] })
      await using other = await connect({ user: bob, rooms: [lobby] })
      const vote = (payload: unknown) => client.request({ type: 'vote', payload })
      expect((await vote({ track: 't' })).payload).toEqual({ result: { accepted: true } })
      expect((await vote({ track: 't', room: hall })).payload).toMatchObject({ error_code: 'forbidden' })
      const heard = await other.received()
      expect(heard.map(({ type, payload, sender, room }) => ({ type, payload, sender, room }))).toEqual([
        { type: 'voted', payload: { track: 't', by: alice }, sender: undefined, room: lobby },
      ])
      // broadcast leaves out the connection whose frame it is; publish does not.
      expect(types(await client.received())).toEqual(['user_joined_room'])
      await client.request({ type: 'announce' })
      expect(types(await client.received())).toEqual(['announced'])
    })

    test.concurrent('with a guard for a role is called by who has it, in general or in that room', async () => {
      const { alice, bob, carol, lobby } = names()
      const clients = [
        await connect({ user: alice, rooms: [lobby] }),
        await connect({ user: bob, rooms: [lobby], roles: ['dj'] }),
        await connect({ user: carol, rooms: [lobby], roomRoles: { [lobby]: 'dj' } }),
        await connect({ user: carol, rooms: [lobby], roomRoles: { other: 'dj', [lobby]: 'admin' } }),
        await connect({ user: carol, rooms: [lobby], roles: ['admin'] }),
      ]
      const answers = []
      for (const client of clients) {
        answers.push([(await client.request({ type: 'spin' })).type, (await client.request({ type: 'rule' })).type])
      }
      expect(answers).toEqual([
        ['error', 'error'],
        ['ack', 'error'],
        ['ack', 'error'],
        ['error', 'ack'],
        ['ack', 'ack'],
      ])
      await Promise.all(clients.map((client) => client.close()))
    })

    test.concurrent('publishes in the server’s name', async () => {
      const { alice, bob } = names()
      await using client = await connect({ user: alice })
      await using other = await connect({ user: bob })
      await client.request({ type: 'whisper', payload: bob })
      expect(await other.received()).toEqual([
        { type: 'whispered', payload: alice, id: expect.any(String), timestamp: expect.any(Number) },
      ])
    })

    test.concurrent('may ask its client, whose answer becomes the result', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      for (const result of [{ yes: true }, undefined]) {
        const asked = client.request({ type: 'ask_me', payload: 'really?' })
        const question = await client.next('question')
        expect(question.payload).toBe('really?')
        client.send({ type: 'ack', payload: { correlation_id: question.ack_id, result } })
        expect((await asked).payload).toEqual(result === undefined ? {} : { result })
      }
      expect((await client.request({ type: 'ask_briefly' })).payload).toMatchObject({
        code: 'RT_009',
        error_code: 'ack_timeout',
        message: 'No answer within 50 ms',
      })
    })
  })

  describe('frames of one connection', () => {
    test.concurrent('take effect and are answered in order, however long each handler takes', async () => {
      const { alice } = names()
      await using client = await connect({ user: alice })
      const order = [...Array(300).keys()]
      const delays = order.map((n) => (n * 7919) % 6)
      const done: unknown[] = []
      const asked = order.map(async (n) => {
        const answer = await client.request({ type: 'slow_echo', payload: { n, ms: delays[n] } })
        done.push(payloadOf(answer)['result'])
      })
      await Promise.all(asked)
      expect(done).toEqual(order)
    })

    test.concurrent('wait for a slow one; other connections do not', async () => {
      const { alice, bob } = names()
      await using client = await connect({ user: alice })
      await using other = await connect({ user: bob })
      const finished: string[] = []
      const slow = client.request({ type: 'slow_echo', payload: { n: 1, ms: 300 } }).then(() => finished.push('slow'))
      const behind = client.request({ type: 'ping' }).then(() => finished.push('behind'))
      await other.request({ type: 'ping' })
      finished.push('other')
      await Promise.all([slow, behind])
      expect(finished).toEqual(['other', 'slow', 'behind'])
    })

    test.concurrent('to others keep their order with what handlers send', async () => {
      const { alice, bob } = names()
      await using client = await connect({ user: alice })
      await using other = await connect({ user: bob })
      for (let n = 0; n < 50; n++) {
        client.send({ type: 'slow_echo', payload: { n, ms: n % 3 } })
        client.send({ type: 'direct', to: { user_id: bob } })
        client.send({ type: 'whisper', payload: bob })
      }
      await client.request({ type: 'ping' })
      expect(types(await other.received())).toEqual(Array(50).fill(['direct', 'whispered']).flat())
    })
  })
}
