/** What goes wrong with disks, on real ones: nothing that was acknowledged is lost, nothing else stops, no restart is needed. */

import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { entry, Site } from './support.ts'

/** Runs the script that fills a small file system of its own, as the owner of namespaces in which it may mount one. */
function onSmallDisk(site: Site) {
  const script = join(import.meta.dir, 'small-disk.ts')
  return Bun.spawnSync(['unshare', '--map-root-user', '--mount', process.execPath, script, site.folder])
}

const mayMount =
  Bun.which('unshare') !== null &&
  Bun.spawnSync(['unshare', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).exitCode === 0

describe('a disk that is full', () => {
  test.skipIf(!mayMount)(
    'refuses messages, is read all the same, and takes messages again when there is room (needs the right to mount)',
    async () => {
      await using site = new Site()
      const { exitCode, stdout, stderr } = onSmallDisk(site)
      expect(stderr.toString()).toBe('')
      expect(JSON.parse(stdout.toString())).toEqual({
        refusal: { errorName: 'unavailable', retryAfterMs: 1000 },
        failing: 'the disk is full',
        acknowledgedAndRead: true,
        afterMoreRoom: 'stored',
        failingThen: null,
        events: ['store_failing', 'store_recovered'],
        onReadOnlyDisk: 'it is read-only',
      })
      expect(exitCode).toBe(0)
    },
  )
})

describe('a damaged file', () => {
  const PAGE = 4096

  async function fill(site: Site): Promise<void> {
    const { messages, close } = site.open()
    const many = Array.from({ length: 500 }, (_, n) => entry('room:r', `${n}`.repeat(400)))
    await Promise.all(many.map((each) => messages.append(each)))
    await close()
  }

  /** Overwrites one of the pages that hold messages, counted in their order; the last for -1. */
  function damage(site: Site, which: number): void {
    const db = new Database(site.path, { readonly: true })
    const pages = db
      .query<{ pageno: number }, []>(
        "SELECT pageno FROM dbstat WHERE name = 'messages' AND pagetype = 'leaf' ORDER BY path",
      )
      .all()
    db.close(true)
    const file = openSync(site.path, 'r+')
    writeSync(file, new Uint8Array(PAGE).fill(0xa5), 0, PAGE, ((pages.at(which)?.pageno ?? 0) - 1) * PAGE)
    closeSync(file)
  }

  test('fails those who need what is damaged, and nobody else', async () => {
    await using site = new Site()
    await fill(site)
    damage(site, 10)
    const { messages } = site.open()
    const read = async () => messages.read({ topics: ['room:r'] }, 0, messages.head(), 1000)
    expect(await read().catch((error) => error)).toMatchObject({ errorName: 'unavailable', retryAfterMs: 1000 })
    await messages.append(entry('room:r', 'stored'))
    expect(await messages.tail('room:r', 1, messages.head())).toMatchObject([{ body: 'stored' }])
  })

  test('whose newest messages cannot be read refuses the start with a line that says how to go on', async () => {
    await using site = new Site()
    await fill(site)
    damage(site, -1)
    expect(() => site.open()).toThrow('cannot be opened: the file is damaged. Move it away')
  })

  test('of the lock is replaced, for it holds nothing but the word of the last run', async () => {
    await using site = new Site()
    await site.open().close()
    await Bun.write(`${site.path}.lock`, 'not what it was '.repeat(300))
    const { messages } = site.open()
    expect(await messages.append(entry('room:r', 'stored'))).toHaveProperty('cursor')
    expect(site.events()).toEqual(['store_not_continued'])
  })
})
