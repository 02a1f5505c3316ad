/** What goes wrong with disks, on real ones: nothing that was acknowledged is lost, nothing else stops, no restart is needed. */
import { describe, expect, test } from 'bun:test'
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { StoreError } from '../../../../src/backends/embedded/log/store-error.ts'
import { TidingsError } from '../../../../src/protocol/errors.ts'
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
    'refuses messages, is read all the same, and takes messages again when there is room',
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

  /** Overwrites every page from the sixth on, which leaves the header and the tables' definitions. */
  function damage(path: string): void {
    const file = openSync(path, 'r+')
    const { size } = statSync(path)
    for (let at = 12 * PAGE; at < size; at += PAGE) writeSync(file, new Uint8Array(PAGE).fill(0xa5), 0, PAGE, at)
    closeSync(file)
  }

  test('fails those who need what is damaged, and nobody else', async () => {
    await using site = new Site()
    const first = site.open()
    const many = Array.from({ length: 500 }, (_, n) => entry('room:r', `${n}`.repeat(200)))
    await Promise.all(many.map((each) => first.messages.append(each)))
    await first.close()
    damage(site.path)

    let failed: unknown
    try {
      const { messages } = site.open()
      await messages.read({ topics: ['room:r'] }, 0, messages.head(), 1000)
    } catch (error) {
      failed = error
    }
    expect(failed).toBeInstanceOf(Error)
    if (failed instanceof TidingsError) expect(failed.errorName).toBe('unavailable')
    else expect(failed).toBeInstanceOf(StoreError)
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
