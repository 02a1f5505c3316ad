import { expect, test } from 'bun:test'
import { Answers } from '../../../../src/backends/embedded/log/answers.ts'
import { openDatabase } from '../../../../src/backends/embedded/log/database.ts'

const WINDOW_MS = 120_000

async function settled(answers: Answers, scope: string, key: string, cursor: number): Promise<void> {
  const answer = Promise.resolve({ cursor, id: key })
  answers.follow(scope, key, answer)
  await answer
}

test('the newest 256 keys of a scope are remembered, and never more than 512, whatever other scopes do', async () => {
  const db = openDatabase(':memory:')
  const answers = new Answers(db, WINDOW_MS, () => 0)
  await settled(answers, 'bob/phone', 'k', 7)
  const found = (n: number): boolean => answers.find('alice/phone', `k${n}`) !== undefined
  for (let n = 0; n < 2000; n++) {
    await settled(answers, 'alice/phone', `k${n}`, n)
    expect([found(n), n < 255 || found(n - 255), found(n - 512)]).toEqual([true, true, false])
  }
  expect(answers.find('alice/phone', 'k1999')).toEqual({ cursor: 1999, id: 'k1999' })
  expect(answers.find('bob/phone', 'k')).toEqual({ cursor: 7, id: 'k' })
  db.close(true)
})

test('a key that is under way is joined, however many are', () => {
  const db = openDatabase(':memory:')
  const answers = new Answers(db, WINDOW_MS, () => 0)
  const first = Promise.withResolvers<never>().promise
  answers.follow('alice/phone', 'first', first)
  for (let n = 0; n < 1000; n++) answers.follow('alice/phone', `${n}`, Promise.withResolvers<never>().promise)
  expect(answers.find('alice/phone', 'first')).toBe(first)
  db.close(true)
})

test('what is past its window is forgotten piece by piece, and its memory given back', async () => {
  let now = 0
  const db = openDatabase(':memory:')
  const answers = new Answers(db, WINDOW_MS, () => now)
  for (let n = 0; n < 5000; n++) await settled(answers, `user-${n}/phone`, 'k', n)
  expect(answers.size).toBe(5000)
  now = WINDOW_MS
  expect(answers.find('user-1/phone', 'k')).toBeUndefined()
  for (let step = 0; step < 10; step++) answers.prune(now)
  expect(answers.size).toBe(0)
  db.close(true)
})

test('a key restored after a restart lasts for what is left of its window', () => {
  const db = openDatabase(':memory:')
  new Answers(db, WINDOW_MS, () => 0).write(9, 1000, [['alice/phone', 'k', 9, 'm9']])
  let now = 500_000
  const answers = new Answers(db, WINDOW_MS, () => now)
  answers.restore(1000 + 100_000)
  expect(answers.find('alice/phone', 'k')).toEqual({ cursor: 9, id: 'm9' })
  now += 20_001
  expect(answers.find('alice/phone', 'k')).toBeUndefined()
  db.close(true)
})
