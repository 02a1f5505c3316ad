import { expect, test } from 'bun:test'
import { Gathered } from '../../../src/backends/redis/gathered.ts'

test('what is asked in one turn of the event loop is asked together, also by callbacks of its own', async () => {
  const asked: number[][] = []
  const gathered = new Gathered<number, number>(async (questions) => {
    asked.push([...questions])
    return questions.map((question) => question * 2)
  })
  const first = gathered.ask(1)
  const second = new Promise<number>((resolve) => queueMicrotask(() => resolve(gathered.ask(2))))
  expect(await Promise.all([first, second])).toEqual([2, 4])
  expect(await gathered.ask(3)).toBe(6)
  expect(asked).toEqual([[1, 2], [3]])
})

test('a crowd of questions is asked in parts, and each gets its own answer', async () => {
  const sizes: number[] = []
  const gathered = new Gathered<number, number>(async (questions) => {
    sizes.push(questions.length)
    return [...questions]
  })
  const all = Array.from({ length: 300 }, (_, n) => n)
  expect(await Promise.all(all.map((n) => gathered.ask(n)))).toEqual(all)
  expect(sizes).toEqual([128, 128, 44])
})

test('where the asking fails every question of that turn fails, and the next one is asked anew', async () => {
  let broken = true
  const gathered = new Gathered<number, number>(async (questions) => {
    if (broken) throw new Error('no answer')
    return [...questions]
  })
  const failed = await Promise.allSettled([gathered.ask(1), gathered.ask(2)])
  expect(failed.map((each) => each.status === 'rejected' && (each.reason as Error).message)).toEqual([
    'no answer',
    'no answer',
  ])
  broken = false
  expect(await gathered.ask(3)).toBe(3)
})
