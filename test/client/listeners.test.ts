import { expect, test } from 'bun:test'
import { FAILED, Listeners } from '../../src/client/listeners.ts'
import type { Message } from '../../src/client/types.ts'

const message = (type: string): Message => ({
  type,
  payload: 'payload',
  id: undefined,
  room: undefined,
  cursor: undefined,
  sender: undefined,
  timestamp: 1,
  history: false,
  own: false,
})

test('listeners hear their type, and those of * hear all', () => {
  const heard: string[] = []
  const listeners = new Listeners(() => {})
  listeners.add('a', (payload) => heard.push(`a: ${payload}`))
  listeners.add('*', (_, { type }) => heard.push(`*: ${type}`))
  listeners.call(message('a'))
  listeners.call(message('b'))
  expect(heard).toEqual(['a: payload', '*: a', '*: b'])
})

test('a function that listens twice is called twice, and each ending ends one', () => {
  let calls = 0
  const listeners = new Listeners(() => {})
  const listener = () => calls++
  const end = listeners.add('a', listener)
  listeners.add('a', listener)
  listeners.call(message('a'))
  end()
  end()
  listeners.call(message('a'))
  expect(calls).toBe(3)
})

test('one that throws or rejects is reported, and hurts no other', async () => {
  const errors: string[] = []
  const listeners = new Listeners((error) => errors.push(String(error)))
  listeners.add('a', () => {
    throw new Error('sync')
  })
  listeners.add('a', async () => {
    throw new Error('async')
  })
  listeners.add('a', () => 'fine')
  expect(await Promise.all(listeners.call(message('a')))).toEqual([FAILED, FAILED, 'fine'])
  expect(errors).toEqual(['Error: sync', 'Error: async'])
})

test('a listener added by a listener hears the next message', () => {
  const heard: string[] = []
  const listeners = new Listeners(() => {})
  listeners.add('a', () => {
    if (heard.push('first') === 1) listeners.add('a', () => heard.push('second'))
  })
  listeners.call(message('a'))
  listeners.call(message('a'))
  expect(heard).toEqual(['first', 'first', 'second'])
})
