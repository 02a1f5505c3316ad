import { afterEach, beforeEach, expect, jest, test } from 'bun:test'
import { QuietCollection } from '../../src/telemetry/quiet-collection.ts'

beforeEach(() => jest.useFakeTimers())
afterEach(() => jest.useRealTimers())

function watched() {
  let collections = 0
  const watch = new QuietCollection(() => collections++)
  const crowd = (size: number) => {
    for (let i = 0; i < size; i++) watch.opened()
  }
  return { watch, crowd, collections: () => collections }
}

test('a crowd that has come is followed by two collections, when it is quiet', () => {
  const { watch, crowd, collections } = watched()
  crowd(1500)
  jest.advanceTimersByTime(2000)
  expect(collections()).toBe(0)
  jest.advanceTimersByTime(20_000)
  expect(collections()).toBe(2)
  watch.stop()
})

test('nothing is collected while connections come and go', () => {
  const { watch, crowd, collections } = watched()
  for (let second = 0; second < 10; second++) {
    crowd(200)
    jest.advanceTimersByTime(2000)
  }
  expect(collections()).toBe(0)
  watch.stop()
})

test('a few connections are not worth a collection', () => {
  const { watch, crowd, collections } = watched()
  crowd(500)
  jest.advanceTimersByTime(60_000)
  expect(collections()).toBe(0)
  watch.stop()
})
