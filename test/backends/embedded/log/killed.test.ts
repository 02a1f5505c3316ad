import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { isRecoverable } from '../../../../src/core/recoverable.ts'
import { entry, Site } from './support.ts'

interface Acknowledged {
  readonly key: string
  readonly cursor: number
  readonly id: string
}

/** Runs a publisher as a process of its own until it has so many acknowledgements, and kills it in the middle. */
async function publishAndKill(path: string, durability: string, enough: number): Promise<Acknowledged[]> {
  const publisher = Bun.spawn([process.execPath, join(import.meta.dir, 'publisher.ts'), path, durability], {
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const decoder = new TextDecoder()
  let text = ''
  let lines = 0
  for await (const chunk of publisher.stdout) {
    text += decoder.decode(chunk, { stream: true })
    lines = text.split('\n').length
    if (lines > enough) publisher.kill(9)
  }
  await publisher.exited
  expect(publisher.signalCode).toBe('SIGKILL')
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}

test.each(['process', 'full'] as const)(
  'after kill -9, with %s durability, every acknowledged message is there, and positions are still good',
  async (durability) => {
    await using site = new Site()
    const acknowledged: Acknowledged[] = []
    let position: number | undefined
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.at(-1)?.cursor ?? 0
      const now = await publishAndKill(site.path, durability, 2000)
      expect(Math.min(...now.map(({ cursor }) => cursor))).toBeGreaterThan(before)
      acknowledged.push(...now)
      position ??= acknowledged[0]?.cursor
    }

    const { messages } = site.open({ durability })
    expect(site.events()).toEqual([])
    const kept = new Map<number, string>()
    for (let after = 0; ; ) {
      const page = await messages.read({ topics: ['room:0', 'room:1'] }, after, messages.head(), 1000)
      for (const { cursor, id } of page) kept.set(cursor, id)
      after = page.at(-1)?.cursor ?? after
      if (page.length < 1000) break
    }
    expect(acknowledged.filter(({ cursor, id }) => kept.get(cursor) !== id)).toEqual([])
    expect(isRecoverable(position ?? 0, await messages.completeness('room:0'))).toBe(true)

    const last = acknowledged.at(-1)
    const idempotency = { scope: 'publisher', key: last?.key ?? '' }
    const again = await messages.append(entry('room:0', 'again', { idempotency }))
    expect(again).toEqual({ cursor: last?.cursor ?? 0, id: last?.id ?? '', duplicate: true })
  },
  30_000,
)
