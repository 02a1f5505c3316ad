import { describe, expect, test } from 'bun:test'
import { Asks } from '../../src/core/asks.ts'

const LONG_MS = 3_600_000

/** Asks so many clients and gives the id that they answer with. */
function ask(asks: Asks, expected: number, timeoutMs = LONG_MS) {
  let id = ''
  const answers = asks.ask(timeoutMs, (ackId) => {
    id = ackId
    return expected
  })
  return { id, answers }
}

describe('an ask', () => {
  test('ends when all have answered, each once', async () => {
    const asks = new Asks()
    const { id, answers } = ask(asks, 2)
    await Promise.resolve()
    asks.answer(id, 'one', 1)
    asks.answer(id, 'one', 'again')
    asks.answer('unknown', 'two', 2)
    expect(asks.size).toBe(1)
    asks.answer(id, 'two', 2)
    expect(await answers).toEqual({
      answers: [
        { connectionId: 'one', result: 1 },
        { connectionId: 'two', result: 2 },
      ],
      missing: 0,
    })
    expect(asks.size).toBe(0)
  })

  test('takes answers that come while it is still being published', async () => {
    const asks = new Asks()
    const answers = await asks.ask(LONG_MS, async (id) => {
      asks.answer(id, 'fast', 1)
      return 1
    })
    expect(answers).toEqual({ answers: [{ connectionId: 'fast', result: 1 }], missing: 0 })
  })

  test('of nobody ends at once', async () => {
    expect(await ask(new Asks(), 0).answers).toEqual({ answers: [], missing: 0 })
  })

  test('ends with who has answered when the time is up', async () => {
    const asks = new Asks()
    const { id, answers } = ask(asks, 3, 20)
    await Promise.resolve()
    asks.answer(id, 'one', 1)
    expect(await answers).toEqual({ answers: [{ connectionId: 'one', result: 1 }], missing: 2 })
    asks.answer(id, 'late', 2)
  })

  test('that cannot be published rejects with why, and holds nothing', async () => {
    const asks = new Asks()
    const asked = asks.ask(LONG_MS, () => Promise.reject(new Error('no')))
    expect(await asked.catch(String)).toContain('no')
    expect(asks.size).toBe(0)
  })

  test('is one of ten thousand at most', async () => {
    const asks = new Asks()
    const all = Array.from({ length: 10_000 }, () => ask(asks, 1).answers)
    const { answers } = ask(asks, 1)
    expect(await answers.catch((error) => error.errorName)).toBe('unavailable')
    asks.closeAll()
    expect((await Promise.all(all)).every(({ missing }) => missing === 1)).toBe(true)
  })
})

test('an ask that needs one answer is over with the first', async () => {
  const asks = new Asks()
  const asked = asks.ask(
    60_000,
    (ackId) => {
      setTimeout(() => asks.answer(ackId, 'c1', 'first'))
      return 3
    },
    1,
  )
  expect(await asked).toEqual({ answers: [{ connectionId: 'c1', result: 'first' }], missing: 2 })
  expect(asks.size).toBe(0)
})
