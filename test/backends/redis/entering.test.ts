import { expect, test } from 'bun:test'
import { Entering } from '../../../src/backends/redis/directory/entering.ts'

const phone = { connectionId: 'phone', userId: 'alice' }
const laptop = { connectionId: 'laptop', userId: 'alice' }

// What was told of him had not come, and he was counted once more with each device that came afterwards.
test('whoever is known to others when he enters by another device is known by the first', () => {
  const entering = new Entering()
  entering.add('lobby', phone, false)
  expect(entering.isTold('lobby', 'alice')).toBe(false)
  entering.add('lobby', laptop, true)
  expect(entering.isTold('lobby', 'alice')).toBe(true)
})

test('whoever has left a room is nobody who was not told of, and has entered none', () => {
  const entering = new Entering()
  for (const each of [phone, laptop]) entering.add('lobby', each, false)
  entering.delete('lobby', phone)
  expect(entering.isTold('lobby', 'alice')).toBe(false)
  entering.delete('lobby', laptop)
  expect(entering.isTold('lobby', 'alice')).toBe(true)
  expect([...entering.roomsOf('phone'), ...entering.roomsOf('laptop')]).toEqual([])
})
