import { expect, test } from 'bun:test'
import { Ladder } from '../../src/client/ladder.ts'

const ALL = ['websocket', 'sse', 'poll'] as const

test('starts at the top', () => {
  expect(new Ladder(ALL).order()).toEqual([...ALL])
  expect(new Ladder(ALL).above()).toBeUndefined()
})

test('goes on with what worked, and knows that there is something better', () => {
  const ladder = new Ladder(ALL)
  ladder.worked('sse')
  expect(ladder.order()).toEqual(['sse', 'poll'])
  expect(ladder.above()).toBe('websocket')
  ladder.worked('websocket')
  expect(ladder.order()).toEqual([...ALL])
})

test('starts from the top again when told to', () => {
  const ladder = new Ladder(ALL)
  ladder.worked('poll')
  ladder.reset()
  expect(ladder.order()).toEqual([...ALL])
})
