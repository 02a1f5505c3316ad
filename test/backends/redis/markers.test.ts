import { expect, test } from 'bun:test'
import { Keys } from '../../../src/backends/redis/keys.ts'
import { Markers, type MarkersOptions } from '../../../src/backends/redis/log/markers.ts'
import { CursorClock } from '../../../src/core/cursor-clock.ts'

/** More looks than a marker may be under way. */
const LOOKS = 20

function markersOf(): Markers {
  const primary = { ask: async () => ['', '0'] } as unknown as MarkersOptions['primary']
  const clock = new CursorClock({ wallMs: 0, monotonic: () => 0, last: 0 })
  return new Markers({ primary, keys: new Keys('test'), ownChannel: 'own', clock, onWritable: () => {} })
}

function looksOverdue(markers: Markers): boolean {
  return Array.from({ length: LOOKS }, () => markers.look()).some((overdue) => overdue)
}

test('a marker that Redis has sent off and that does not come is overdue', async () => {
  const markers = markersOf()
  await markers.send([], () => {})
  expect(looksOverdue(markers)).toBe(true)
})

// While an instance read what it had missed, it took its subscription for dead, and began anew every two seconds.
test('a marker that waits until the log was read is not overdue, and arrives', async () => {
  const markers = markersOf()
  let arrived = 0
  await markers.send([], () => arrived++)
  const marker = { kind: 'marker', epoch: 'e', name: 'r1', last: 1, since: 0 } as const
  markers.note(marker)
  expect(looksOverdue(markers)).toBe(false)
  expect([markers.arrive(marker), arrived]).toEqual([true, 1])
})
