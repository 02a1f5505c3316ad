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
        return await answer(question, name)
      },
    }
    return new Errands(new Peers(bus), 1)
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
