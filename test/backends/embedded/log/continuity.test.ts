import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { copyFileSync, renameSync, rmSync } from 'node:fs'
import { brokenBy, type Found } from '../../../../src/backends/embedded/log/continuity.ts'
import type { RunFacts } from '../../../../src/backends/embedded/log/facts.ts'
import type { Store } from '../../../../src/backends/embedded/log/store.ts'
import { isRecoverable } from '../../../../src/core/recoverable.ts'
import { entry, Site } from './support.ts'

const left: RunFacts = {
  last: 1,
  complete_since: 1,
  horizon_ms: 1,
  run: 'r1',
  clean: 0,
  durability: 'process',
  boot: 'b1',
  file: '8:100',
}
const found: Found = {
  witnessRun: 'r1',
  witnessFile: '',
  fingerprint: '8:100:4096:77',
  file: '8:100',
  boot: 'b1',
  hasWal: true,
}

describe('positions from before a start', () => {
  test('are good where only the process had died', () => {
    expect(brokenBy(left, found)).toBeUndefined()
  })

  test('are good after a clean end', () => {
    const clean = { ...left, clean: 1 }
    expect(brokenBy(clean, { ...found, witnessFile: found.fingerprint, hasWal: false, boot: 'b2' })).toBeUndefined()
  })

  test('are good after a power cut with full durability, whatever number the device has now', () => {
    const full = { ...left, durability: 'full' }
    expect(brokenBy(full, { ...found, boot: 'b2', file: '9:100' })).toBeUndefined()
  })

  test.each<[string, Partial<RunFacts>, Partial<Found>]>([
    ['the machine stopped, and the disk may lack the end', {}, { boot: 'b2' }],
    ['nobody knows whether the machine stopped', { boot: '' }, { boot: '' }],
    ['the database is of an earlier run', {}, { witnessRun: 'r2' }],
    ['nothing witnesses the last run', {}, { witnessRun: '' }],
    ['another file lies in its place', {}, { file: '8:101' }],
    ['another file lies in its place after a power cut', { durability: 'full' }, { boot: 'b2', file: '8:101' }],
    ['the write-ahead log is gone', {}, { hasWal: false }],
    ['the file was written to after a clean end', { clean: 1 }, { witnessFile: '8:100:4096:76' }],
    ['a clean end was not witnessed', { clean: 1 }, {}],
  ])('are not good where %s', (_, facts, finds) => {
    expect(brokenBy({ ...left, ...facts }, { ...found, ...finds })).toBeString()
  })
})

async function recovers(store: Store, position: number): Promise<boolean> {
  return isRecoverable(position, await store.messages.completeness('room:r'))
}

describe('a backup that was put in the place of the store', () => {
  test.each<[string, (backup: string, path: string) => void]>([
    ['copied over it', copyFileSync],
    ['moved there', renameSync],
  ])('is noticed when it was %s', async (_, putBack) => {
    await using site = new Site()
    const backup = `${site.path}.backup`
    const first = site.open()
    await first.messages.append(entry('room:r', 'kept'))
    await first.close()
    copyFileSync(site.path, backup)

    const second = site.open()
    const before = second.messages.head()
    await second.messages.append(entry('room:r', 'lost'))
    await second.close()
    rmSync(`${site.path}-wal`, { force: true })
    putBack(backup, site.path)

    const third = site.open()
    expect(await recovers(third, before)).toBe(false)
    expect(await recovers(third, third.messages.head())).toBe(true)
    expect(site.events()).toEqual(['store_not_continued'])
  })

  test('is not noticed where there is none: a clean restart goes on without a word', async () => {
    await using site = new Site()
    const first = site.open()
    const position = first.messages.head()
    await first.close()
    const second = site.open()
    expect(await recovers(second, position)).toBe(true)
    expect(site.events()).toEqual([])
  })
})

test('a store that somebody wrote to between two runs is noticed', async () => {
  await using site = new Site()
  const first = site.open()
  const position = first.messages.head()
  await first.messages.append(entry('room:r', 'deleted'))
  await first.close()
  const db = new Database(site.path)
  db.run('DELETE FROM messages')
  db.close(true)
  const second = site.open()
  expect(await recovers(second, position)).toBe(false)
  expect(site.events()).toEqual(['store_not_continued'])
})

test('the highest cursor stands apart from the messages, in the commit that gives it', async () => {
  await using site = new Site()
  const { messages } = site.open()
  const { cursor } = await messages.append(entry('room:r', '1'))
  const db = new Database(site.path, { readonly: true })
  expect(db.query("SELECT value FROM facts WHERE name = 'last'").get()).toEqual({ value: cursor })
  db.close(true)
})

test('a longer horizon does not make good what the shorter one has forgotten', async () => {
  await using site = new Site()
  const first = site.open({ horizonMs: 1000 })
  const position = first.messages.head()
  await first.close()
  site.clock.passed += 5000
  const second = site.open({ horizonMs: 3_600_000 })
  expect(await recovers(second, position)).toBe(false)
})
