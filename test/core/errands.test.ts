import { expect, test } from 'bun:test'
import { Errands, NobodyThere, WorkerLost } from '../../src/core/errands.ts'
import { Peers } from '../../src/core/peers.ts'
import type { Bus, BusAnswer } from '../../src/core/ports/bus.ts'
import { TidingsError } from '../../src/protocol/errors.ts'
import { until } from '../support/until.ts'

/** Instances in one process, which can die: then nothing that they are asked is answered. */
class Instances {
  private readonly answers = new Map<string, BusAnswer>()
  readonly asked: string[] = []
  /** What a busy one has been asked. */
  private readonly waiting = new Map<string, (() => unknown)[]>()

  add(name: string): Errands {
    const bus: Bus = {
      instance: name,
      onMessage: () => {},
      publish: () => {},
      onQuestion: (answer) => {
        this.answers.set(name, answer)
      },
      ask: async (instance, question) => {
        await undefined
        this.asked.push(question.kind)
        const answer = this.answers.get(instance)
        if (answer === undefined) throw new TidingsError('unavailable')
        const waiting = this.waiting.get(instance)
        if (waiting !== undefined) {
          waiting.push(() => answer(question, name))
          throw new TidingsError('unavailable')
        }
        return await answer(question, name)
      },
    }
    return new Errands(new Peers(bus), 1)
  }

  /** It is busy for longer than it is waited for; what it is asked meanwhile it finds when it is done. */
  busy(name: string): void {
    this.waiting.set(name, [])
  }

  async goOn(name: string): Promise<void> {
    const waiting = this.waiting.get(name) ?? []
    this.waiting.delete(name)
    await Promise.all(waiting.map((answer) => answer()))
  }

  kill(name: string): void {
    this.answers.delete(name)
  }
}

const ERRAND = { kind: 'work', body: {}, timeoutMs: 60_000 }

test('a result comes when it is done, however long those who wait look after it', async () => {
  const instances = new Instances()
  const here = instances.add('here')
  const { promise, resolve } = Promise.withResolvers<string>()
  instances.add('there').does('work', () => promise)
  const result = here.send('there', ERRAND)
  await until(() => instances.asked.filter((kind) => kind === 'errand_look').length > 3)
  resolve('done')
  expect(await result).toBe('done')
})

test('an instance that dies while it works is missed, which is not the same as one that was never there', async () => {
  const instances = new Instances()
  const here = instances.add('here')
  const there = instances.add('there')
  const { promise: began, resolve: begin } = Promise.withResolvers<void>()
  there.does('work', () => {
    begin()
    return new Promise(() => {})
  })
  const result = here.send('there', ERRAND).catch((error: unknown) => error)
  await began
  instances.kill('there')
  expect(await result).toBeInstanceOf(WorkerLost)
  expect(await here.send('there', ERRAND).catch((error: unknown) => error)).toBeInstanceOf(NobodyThere)
})

// It was busy for a second, and did in the end what somebody else had done meanwhile.
test('an instance that was too busy to accept an errand does not do it afterwards', async () => {
  const instances = new Instances()
  const here = instances.add('here')
  const done: unknown[] = []
  instances.add('there').does('work', async ({ n }) => done.push(n))
  instances.busy('there')
  const late = here.send('there', { ...ERRAND, body: { n: 1 } }).catch((error: unknown) => error)
  expect(await late).toBeInstanceOf(NobodyThere)
  await instances.goOn('there')
  await here.send('there', { ...ERRAND, body: { n: 2 } })
  expect(done).toEqual([2])
})

test('an errand of a client that has left already is nobody’s', async () => {
  const instances = new Instances()
  const here = instances.add('here')
  instances.add('there').does('work', () => new Promise(() => {}))
  const result = here.send('there', { ...ERRAND, signal: AbortSignal.abort() }).catch((error: unknown) => error)
  expect(await result).toMatchObject({ errorName: 'unavailable', message: 'The client has left' })
  expect(instances.asked).toEqual([])
})
