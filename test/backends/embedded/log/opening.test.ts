import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../../../../src/backends/embedded/log/store-error.ts'
import { entry, Site } from './support.ts'

function refusal(open: () => unknown): string {
  try {
    open()
  } catch (error) {
    if (error instanceof StoreError) return error.message
    throw error
  }
  throw new Error('it was opened')
}

describe('a store', () => {
  test('makes its folder', async () => {
    await using site = new Site()
    const path = join(site.folder, 'a', 'b', 'tidings.db')
    site.open({ path })
    expect(existsSync(path)).toBe(true)
  })

  test('in memory leaves no file, and forgets', async () => {
    await using site = new Site()
    const first = site.open({ path: ':memory:', durability: 'full' })
    const { cursor } = await first.messages.append(entry('room:r', 'here'))
    expect(await first.messages.read({ topics: ['room:r'] }, 0, cursor, 10)).toHaveLength(1)
    await first.close()
    const second = site.open({ path: ':memory:' })
    expect(await second.messages.read({ topics: ['room:r'] }, 0, second.messages.head(), 10)).toEqual([])
    expect(existsSync(site.path)).toBe(false)
    expect(existsSync(':memory:')).toBe(false)
  })

  test('is given free when it is closed', async () => {
    await using site = new Site()
    await site.open().close()
    await site.open().close()
    expect(site.events()).toEqual([])
  })

  test('can be closed twice', async () => {
    await using site = new Site()
    const store = site.open()
    await Promise.all([store.close(), store.close()])
  })
})

describe('a start is refused with a line that says how to go on', () => {
  test('where another process has the store', async () => {
    await using site = new Site()
    const holder = Bun.spawn([process.execPath, join(import.meta.dir, 'holder.ts'), site.path], { stdout: 'pipe' })
    try {
      await holder.stdout.getReader().read()
      expect(refusal(() => site.open())).toBe(
        `The store ${site.path} is in use by process ${holder.pid}. Stop it, or name another file in store.path.`,
      )
    } finally {
      holder.kill(9)
      await holder.exited
    }
    site.open()
  })

  test('where this process has it open already, which stays unharmed', async () => {
    await using site = new Site()
    const store = site.open()
    expect(refusal(() => site.open())).toContain(`in use by process ${process.pid}`)
    expect(refusal(() => site.open())).toContain('in use')
    expect(await store.messages.append(entry('room:r', 'goes on'))).toHaveProperty('cursor')
  })

  test('where a newer version wrote it', async () => {
    await using site = new Site()
    await site.open().close()
    alter(site.path, 'PRAGMA user_version = 99')
    expect(refusal(() => site.open())).toContain('was written by a newer version: its tables have version 99')
  })

  test('where it is a database of another program', async () => {
    await using site = new Site()
    alter(site.path, 'CREATE TABLE addresses (name)')
    expect(refusal(() => site.open())).toContain('is a database of another program')
    alter(site.path, 'SELECT name FROM addresses')
  })

  test('where it is no database', async () => {
    await using site = new Site()
    writeFileSync(site.path, 'these are my notes, not a database, '.repeat(100))
    expect(refusal(() => site.open())).toContain('is not a database. Move it away')
  })

  test('where it is a folder', async () => {
    await using site = new Site()
    mkdirSync(site.path)
    expect(refusal(() => site.open())).toContain(`The store ${site.path} cannot be opened`)
  })

  test('where its folder cannot be made', async () => {
    await using site = new Site()
    writeFileSync(join(site.folder, 'file'), '')
    expect(refusal(() => site.open({ path: join(site.folder, 'file', 'tidings.db') }))).toContain('cannot be made')
  })

  test('where a message was dated after the year 2200', async () => {
    await using site = new Site()
    await site.open().close()
    alter(site.path, `UPDATE facts SET value = ${Date.UTC(2201, 0, 1) * 1000} WHERE name = 'last'`)
    expect(refusal(() => site.open())).toContain('was dated after the year 2200')
  })

  test('where the clock says that it is after the year 2200', async () => {
    await using site = new Site()
    site.clock.set = Date.UTC(2201, 0, 1) - Date.now()
    expect(refusal(() => site.open())).toContain('This machine says that it is after the year 2200')
  })

  test('and the file is free again afterwards', async () => {
    await using site = new Site()
    site.clock.set = Date.UTC(2201, 0, 1) - Date.now()
    refusal(() => site.open())
    site.clock.set = 0
    site.open()
  })
})

describe('the wall clock', () => {
  test('that was set back an hour between two runs is reported, and cursors go on', async () => {
    await using site = new Site()
    site.clock.set = 3_600_000
    const first = site.open()
    const { cursor } = await first.messages.append(entry('room:r', '1'))
    await first.close()
    site.clock.set = 0
    const second = site.open()
    expect(site.events()).toEqual(['store_ahead_of_clock'])
    expect((await second.messages.append(entry('room:r', '2'))).cursor).toBeGreaterThan(cursor)
  })

  test('that jumps a day forth and back while the store is open moves no cursor by it', async () => {
    await using site = new Site()
    const { messages } = site.open()
    const cursors: number[] = []
    for (const set of [0, 86_400_000, 0, -86_400_000]) {
      site.clock.set = set
      cursors.push((await messages.append(entry('room:r', `${set}`))).cursor)
    }
    expect(cursors).toEqual([...new Set(cursors)].sort((a, b) => a - b))
    expect((cursors.at(-1) ?? 0) - (cursors[0] ?? 0)).toBeLessThan(3_600_000_000)
  })
})

function alter(path: string, sql: string): void {
  const db = new Database(path)
  db.run(sql)
  db.close(true)
}
