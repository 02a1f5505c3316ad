import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { BufferedOutput } from '../../src/telemetry/stdout.ts'

/** A reader that takes as many bytes as it has room for. */
function reader(room: number, options?: { shared: boolean }) {
  const state = { room, text: '', writes: 0, pieces: [] as string[] }
  const writeBytes = (bytes: Uint8Array): number => {
    state.writes++
    if (state.room === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' })
    const taken = bytes.subarray(0, state.room)
    state.room -= taken.length
    state.text += Buffer.from(taken).toString()
    state.pieces.push(Buffer.from(taken).toString())
    return taken.length
  }
  return { state, output: new BufferedOutput(writeBytes, options) }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

describe('the output', () => {
  test('gathers the lines of one turn into one write', async () => {
    const { state, output } = reader(1000)
    for (const line of ['a\n', 'b\n', 'c\n']) output.write(line)
    expect(state.writes).toBe(0)
    await until(() => state.text !== '')
    expect(state).toMatchObject({ text: 'a\nb\nc\n', writes: 1 })
  })

  test('goes on in the middle of a line when its reader does', async () => {
    const { state, output } = reader(3)
    output.write('first\n')
    await until(() => state.writes > 1)
    output.write('second\n')
    expect(state.text).toBe('fir')
    state.room = 1000
    await until(() => state.text.length > 3)
    expect(state.text).toBe('first\nsecond\n')
  })

  // Linux keeps writes of up to 4096 bytes to a pipe whole, and cuts larger ones where it likes.
  test('that others write to, too, gets whole lines in small pieces', async () => {
    const { state, output } = reader(Number.POSITIVE_INFINITY, { shared: true })
    const lines = Array.from({ length: 200 }, (_, i) => `${'ö'.repeat(i * 7)}\n`)
    lines.splice(100, 0, `${'x'.repeat(5000)}\n`)
    for (const line of lines) output.write(line)
    await until(() => state.text.length === lines.join('').length)
    expect(state.text).toBe(lines.join(''))
    expect(state.pieces.every((piece) => piece.endsWith('\n'))).toBe(true)
    const large = state.pieces.filter((piece) => Buffer.byteLength(piece) > 4096)
    expect(large).toEqual([`${'x'.repeat(5000)}\n`])
    expect(state.writes).toBeLessThan(lines.length / 2)
  })

  /** A reader that has stopped must cost neither the server's memory nor its time. */
  test('drops lines over its bound, and says how many as soon as there is room', async () => {
    const { state, output } = reader(0)
    const line = `${'x'.repeat(1023)}\n`
    for (let i = 0; i < 2000; i++) output.write(line)
    state.room = Number.POSITIVE_INFINITY
    await until(() => state.text.includes('log_lines_dropped'))
    const lines = state.text.trimEnd().split('\n')
    const lost = JSON.parse(lines.at(-1) ?? '')
    expect(lost).toMatchObject({ level: 'warn', event: 'log_lines_dropped', count: 976 })
    expect(lines.length - 1 + lost.count).toBe(2000)
  })

  test('lives on without a reader', async () => {
    let tries = 0
    const output = new BufferedOutput(() => {
      tries++
      throw Object.assign(new Error('gone'), { code: 'EPIPE' })
    })
    output.write('a\n')
    await until(() => tries === 1)
    output.write('b\n')
    await until(() => tries === 2)
  })

  test('drained at the end gives up on a reader that has stopped', () => {
    const { state, output } = reader(2)
    output.write('abc\n')
    output.drain()
    expect(state.text).toBe('ab')
  })
})

/** 3,000 lines are ten times what a pipe holds: the process must wait for its reader, and no line may be lost or cut. */
describe('a process that ends', () => {
  const log = join(import.meta.dir, '../../src/telemetry/log.ts')
  const program = (end: string) => `
    import { createLog } from ${JSON.stringify(log)}
    const log = createLog({ level: 'info', format: 'auto' })
    for (let i = 0; i < 3000; i++) log.info('line', { i, padding: 'x'.repeat(200) })
    ${end}`

  for (const [name, end] of [
    ['by itself', ''],
    ['by exit', 'process.exit(0)'],
    ['by exit a turn later', 'setTimeout(() => process.exit(0), 1)'],
    ['by an error', 'throw new Error("end")'],
  ] as const) {
    test(`${name} has written every line`, async () => {
      const child = Bun.spawn([process.execPath, '-e', program(end)], { stdout: 'pipe', stderr: 'ignore' })
      const lines = (await new Response(child.stdout).text()).trimEnd().split('\n')
      await child.exited
      expect(lines.map((line) => JSON.parse(line).i)).toEqual(Array.from({ length: 3000 }, (_, i) => i))
    })
  }
})
