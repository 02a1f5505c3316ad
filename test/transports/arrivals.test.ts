import { expect, test } from 'bun:test'
import { Arrivals } from '../../src/transports/arrivals.ts'

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

test('a few go straight in; of a crowd, so many a turn of the event loop, in the order in which they came', async () => {
  const arrivals = new Arrivals()
  const entered: number[] = []
  let direct = 0
  for (let n = 0; n < 100; n++) {
    const wait = arrivals.enter()
    if (wait === undefined) direct++
    void Promise.resolve(wait).then(() => entered.push(n))
  }
  await Promise.resolve()
  expect(direct).toBeGreaterThan(0)
  expect(entered).toHaveLength(direct)
  const turns: number[] = []
  while (entered.length < 100) {
    const before = entered.length
    await turn()
    turns.push(entered.length - before)
  }
  expect(Math.max(...turns)).toBe(direct)
  expect(entered).toEqual(Array.from({ length: 100 }, (_, n) => n))
})

test('whoever comes while others wait does not pass them', async () => {
  const arrivals = new Arrivals()
  const entered: string[] = []
  const come = (name: string) => void Promise.resolve(arrivals.enter()).then(() => entered.push(name))
  for (let n = 0; n < 40; n++) come('early')
  await turn()
  come('late')
  for (let n = 0; n < 5; n++) await turn()
  expect(entered.indexOf('late')).toBe(40)
})

test('when the crowd is in, the next goes straight in', async () => {
  const arrivals = new Arrivals()
  const waits = Array.from({ length: 40 }, () => arrivals.enter())
  await Promise.all(waits)
  await turn()
  await turn()
  expect(arrivals.enter()).toBeUndefined()
})
