import { expect, test } from 'bun:test'
import type { Shelf } from '../../src/core/ports/shelf.ts'
import { Resumables } from '../../src/core/resumable.ts'

const KEEP_MS = 60_000
const clock = { now: () => 0, monotonic: () => 0 }

/** A shelf of which several instances have a part. */
function newShelf(): Shelf {
  const things = new Map<string, string>()
  return {
    put: (name, value) => void things.set(name, value),
    claim(name, value) {
      const there = things.get(name)
      if (there === undefined) things.set(name, value)
      return there
    },
    get: (name) => things.get(name),
  }
}

const alice = { userId: 'alice', deviceId: 'phone' }
const listed = (rooms: readonly string[]) => ({
  ...alice,
  connectionId: 'c1',
  instance: 'dead',
  since: 0,
  record: undefined,
  rooms,
})

// An instance died, or was slow, while a connection was leaving its rooms: whoever came back was given what was left of them.
test('what an instance has kept itself stands against what the directory knows of a connection that was ending', async () => {
  const shelf = newShelf()
  const there = new Resumables(clock, KEEP_MS, shelf)
  const kept = { ...alice, rooms: [{ room: 'lobby', since: 7 }], metadata: undefined }
  there.inherit('c1', kept, 'c2')
  const here = new Resumables(clock, KEEP_MS, shelf)
  expect(await here.keepLost(listed([]))).toEqual({ ...kept, heir: 'c2' })
  expect(await here.find('c1', 'alice', 'phone')).toEqual({ ...kept, heir: 'c2' })
})

test('what the directory knows of a connection is kept where its instance has kept nothing', async () => {
  const shelf = newShelf()
  const lost = await new Resumables(clock, KEEP_MS, shelf).keepLost(listed(['lobby']))
  expect(lost).toMatchObject({ ...alice, rooms: [{ room: 'lobby', since: 0 }] })
  expect(await new Resumables(clock, KEEP_MS, shelf).find('c1', 'alice', 'phone')).toMatchObject({
    ...alice,
    rooms: [{ room: 'lobby', since: 0 }],
  })
})
