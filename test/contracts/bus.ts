/** What every bus between instances keeps to. A backend's test calls {@link busContract} with a way to open instances. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { MaybePromise } from '../../src/core/maybe-promise.ts'
import type { Bus } from '../../src/core/ports/bus.ts'
import { TidingsError } from '../../src/protocol/errors.ts'
import { until } from '../support/until.ts'

/** One instance on the bus. */
export interface BusSeat {
  readonly bus: Bus
  interest(topic: string, wanted: boolean): MaybePromise<void>
  close(): Promise<void>
}

export interface BusHarness {
  open(): Promise<BusSeat>
  dispose(): Promise<void>
}

interface Heard {
  readonly topic: string
  readonly kind: string
  readonly body: string
  readonly from: string
}

class Listener {
  readonly seat: BusSeat
  readonly heard: Heard[] = []

  constructor(seat: BusSeat) {
    this.seat = seat
    seat.bus.onMessage((topic, { kind, body }, from) => this.heard.push({ topic, kind, body, from }))
    seat.bus.onQuestion(({ kind, body }, from) => {
      if (kind === 'fail') throw new TidingsError('not_found', `No ${body}`)
      if (kind === 'break') throw new Error('secret')
      if (kind === 'silence') return new Promise(() => {})
      return `${from === seat.bus.instance ? 'self' : 'other'}: ${body}`
    })
  }

  get bodies(): string[] {
    return this.heard.map(({ body }) => body)
  }

  say(topic: string, body: string, kind = 'frame'): void {
    this.seat.bus.publish(topic, { kind, body })
  }
}

export function busContract(name: string, createHarness: () => Promise<BusHarness>): void {
  describe(name, () => {
    let harness: BusHarness
    let one: Listener
    let two: Listener
    let three: Listener

    beforeEach(async () => {
      harness = await createHarness()
      ;[one, two, three] = (await Promise.all([0, 1, 2].map(async () => new Listener(await harness.open())))) as [
        Listener,
        Listener,
        Listener,
      ]
    })
    afterEach(async () => {
      for (const { seat } of [one, two, three]) await seat.close()
      await harness.dispose()
    })

    test('tells the others that want a topic, and not the one who says it', async () => {
      for (const { seat } of [one, two]) await seat.interest('room:r', true)
      one.say('room:r', 'hello')
      // Everybody is interested in everything: what comes behind shows what did not come.
      one.say('all', 'end')
      await until(() => three.heard.length === 1 && two.heard.length === 2)
      expect(two.heard[0]).toEqual({ topic: 'room:r', kind: 'frame', body: 'hello', from: one.seat.bus.instance })
      expect([one.bodies, two.bodies, three.bodies]).toEqual([[], ['hello', 'end'], ['end']])
    })

    test('keeps the order of one publisher over all topics', async () => {
      for (const topic of ['room:a', 'room:b']) await two.seat.interest(topic, true)
      const said = Array.from({ length: 500 }, (_, n) => `${n}`)
      for (const [n, body] of said.entries()) one.say(['room:a', 'room:b', 'all'][n % 3] ?? 'all', body)
      await until(() => two.heard.length === said.length)
      expect(two.bodies).toEqual(said)
    })

    test('carries any body, a device and a connection', async () => {
      const messages = ['', '\n\n', 'ü€𝄞\u2028', '{"a":"\\ud800"}', 'x'.repeat(300_000)].map((body) => ({
        kind: 'frame',
        body,
        device: 'phone\n1',
        origin: 'connection-1',
      }))
      const heard: unknown[] = []
      two.seat.bus.onMessage((_, message) => heard.push(message))
      for (const message of messages) one.seat.bus.publish('all', message)
      await until(() => heard.length === messages.length)
      expect(heard).toEqual(messages)
    })

    test('a listener that throws hears what comes next', async () => {
      const heard: string[] = []
      two.seat.bus.onMessage((_, { body }) => {
        heard.push(body)
        throw new Error('broken')
      })
      one.say('all', '1')
      one.say('all', '2')
      await until(() => heard.length === 2)
    })

    test('a question is answered by the instance that is asked', async () => {
      const { instance } = two.seat.bus
      const answers = await Promise.all(
        ['a', 'b\n', ''].map((body) => one.seat.bus.ask(instance, { kind: 'echo', body }, 5000)),
      )
      expect(answers).toEqual(['other: a', 'other: b\n', 'other: '])
      expect(await one.seat.bus.ask(one.seat.bus.instance, { kind: 'echo', body: 'me' }, 5000)).toBe('self: me')
    })

    test('what an answer throws is thrown to the one who asked, as a client would see it', async () => {
      const ask = (kind: string) =>
        one.seat.bus.ask(two.seat.bus.instance, { kind, body: 'room' }, 5000).catch((e) => e)
      expect(await ask('fail')).toMatchObject({ errorName: 'not_found', message: 'No room' })
      expect(await ask('break')).toMatchObject({ errorName: 'internal_error', message: 'Internal error' })
    })

    test('who does not answer in time, or is not there, is unavailable', async () => {
      const ask = (instance: string) => one.seat.bus.ask(instance, { kind: 'silence', body: '' }, 50).catch((e) => e)
      expect(await ask(two.seat.bus.instance)).toMatchObject({ errorName: 'unavailable' })
      expect(await ask('nobody')).toMatchObject({ errorName: 'unavailable' })
    })
  })
}
