import { expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { Site } from './support.ts'
import { writeMuch } from './write-much.ts'

const ROOT = join(import.meta.dir, '../../../..')

test('the write-ahead log does not grow with what is written while messages never stop', async () => {
  await using site = new Site()
  const { messages } = site.open()
  const { written, largestLog } = await writeMuch(messages, site.path)
  expect(largestLog).toBeLessThan(written / 2)
  expect(messages.failing).toBeUndefined()
  expect(site.events()).toEqual([])
})

test('a reader from outside, such as a backup, delays the copying and stops nothing', async () => {
  await using site = new Site()
  const { messages } = site.open()
  await writeMuch(messages, site.path, 1_000_000)
  const backup = Bun.spawn([process.execPath, join(import.meta.dir, 'reader.ts'), site.path], { stdout: 'pipe' })
  try {
    await backup.stdout.getReader().read()
    await writeMuch(messages, site.path, 150_000_000)
    expect(messages.failing).toBeUndefined()
  } finally {
    backup.kill(9)
    await backup.exited
  }
})

test('the thread that copies is in the compiled binary too', async () => {
  await using site = new Site()
  const binary = join(site.folder, 'write-much')
  const entry = join(import.meta.dir, 'write-much.ts')
  const build = Bun.spawnSync([process.execPath, 'scripts/build.ts', `--entry=${entry}`, `--outfile=${binary}`], {
    cwd: ROOT,
  })
  expect(build.exitCode, build.stderr.toString()).toBe(0)
  const { stdout, stderr, exitCode } = Bun.spawnSync([binary, site.path], { cwd: site.folder })
  expect(stderr.toString()).toBe('')
  expect(exitCode).toBe(0)
  const { written, largestLog, failing } = JSON.parse(stdout.toString())
  expect(failing).toBeNull()
  expect(largestLog).toBeLessThan(written / 2)
  expect(statSync(`${site.path}-wal`).size).toBe(0)
}, 60_000)
