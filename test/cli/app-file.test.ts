import { describe, expect, test } from 'bun:test'
import { renameSync, writeFileSync } from 'node:fs'
import { issueToken } from '../../src/auth/issue.ts'
import { files } from '../config/support.ts'
import { tidingsProcess } from './process.ts'
import { SECRET } from './support.ts'

const ADDRESS = /Address +(http:\S+)/
const DEVELOPMENT = ['serve', '--dev', '--port=0', '--store.path=:memory:']
const ENV = { TIDINGS_AUTH_SECRET: SECRET }

/** An application whose one handler answers with a word. */
function answering(word: string): string {
  return `import { tidings } from 'tidings'
import { Type } from 'typebox'
import { Elysia } from 'elysia'
export default tidings().on('greet', { payload: Type.Object({ name: Type.String() }) }, ({ payload }) =>
  ({ greeting: '${word} ' + payload.name, elysia: typeof Elysia }))
`
}

/** What the handler answers to alice: the payload of its ack, or of the error. */
async function greet(url: string, token: string): Promise<Record<string, unknown>> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime?token=${token}`)
  const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
  socket.onopen = () => socket.send('{"type":"greet","id":"1","payload":{"name":"alice"}}')
  socket.onerror = () => reject(new Error('refused'))
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data))
    if (frame.correlation_id === '1') resolve(frame.payload)
  }
  return await promise.finally(() => socket.close())
}

describe('serve --app', () => {
  test('serves the handlers of a file anywhere, to which the packages are provided', async () => {
    using folder = files({ 'app.ts': answering('hello') })
    await using server = tidingsProcess([...DEVELOPMENT, '--app', folder.path('app.ts')], ENV)
    const token = await issueToken(SECRET, { user_id: 'alice' }, 60)
    expect(await greet(await server.printed(ADDRESS), token)).toMatchObject({
      result: { greeting: 'hello alice', elysia: 'function' },
    })
  })

  test.each<[what: string, source: string, message: RegExp]>([
    ['a syntax error, with its line', 'const a = 1\nexport default {{', /app\.ts:2:\d+: Expected identifier/],
    ['what it throws, with its line', 'const a = 1\nthrow new TypeError("boom")', /TypeError: boom\n.*app\.ts:2/],
    ['no default export', 'export const a = 1', /expected export default tidings\(\)\.on\(…\), found nothing/],
    ['another default export', 'export default { a: 1 }', /found an object as its default export/],
    ['a file that is not there', '', /there is no file .*missing\.ts/],
  ])('%s: says so and exits with 1', async (_what, source, message) => {
    using folder = files(source === '' ? {} : { 'app.ts': source })
    const file = folder.path(source === '' ? 'missing.ts' : 'app.ts')
    for (const command of [DEVELOPMENT, ['check', '--dev']]) {
      await using server = tidingsProcess([...command, '--app', file])
      expect(await server.exitCode()).toBe(1)
      expect(server.output()).toMatch(message)
    }
  })

  test('production needs no key where the handlers identify users themselves, and only there', async () => {
    const own =
      "import { tidings } from 'tidings'\nexport default tidings().authenticate(() => ({ userId: 'a', roles: [] }))"
    using folder = files({ 'own.ts': own, 'app.ts': answering('hello') })
    await using good = tidingsProcess(['check', '--app', folder.path('own.ts')])
    expect(await good.exitCode()).toBe(0)
    await using bad = tidingsProcess(['check', '--app', folder.path('app.ts')])
    expect(await bad.exitCode()).toBe(1)
    expect(bad.output()).toContain('tidings token --new-secret')
  })
})

describe('serve --watch', () => {
  test('is refused in production, and without a file to watch', async () => {
    await using server = tidingsProcess(['serve', '--watch'], ENV)
    expect(await server.exitCode()).toBe(1)
    expect(server.output()).toContain('--watch: expected development (--dev), found production')
    expect(server.output()).toContain('--watch: expected --app FILE to watch, found none')
  })

  test('serves what was saved last, shows errors meanwhile, and keeps the printed tokens good', async () => {
    using folder = files({ 'app.ts': answering('hello') })
    await using server = tidingsProcess([...DEVELOPMENT, '--watch', '--app', folder.path('app.ts')])
    const token = await server.printed(/^(ey\S+)$/m)
    expect(await greet(await server.printed(ADDRESS), token)).toMatchObject({ result: { greeting: 'hello alice' } })

    writeFileSync(folder.path('app.ts'), 'export default {{')
    await server.printed(/app\.ts:1:\d+: Expected identifier/)
    await server.printed(/it starts again when a file changes/)

    // As editors save: written beside and moved over.
    writeFileSync(folder.path('app.ts~'), answering('goodbye'))
    renameSync(folder.path('app.ts~'), folder.path('app.ts'))
    const second = await server.printed(/it starts again when a file changes[\s\S]*Address +(http:\S+)/)
    expect(await greet(second, token)).toMatchObject({ result: { greeting: 'goodbye alice' } })

    server.child.kill('SIGINT')
    expect(await server.exitCode()).toBe(0)
  })

  test('leaves no server behind when it is killed', async () => {
    using folder = files({ 'app.ts': answering('hello') })
    await using server = tidingsProcess([...DEVELOPMENT, '--watch', '--app', folder.path('app.ts')], ENV)
    const url = await server.printed(ADDRESS)
    server.child.kill('SIGKILL')
    // The output ends when the last process that holds it has ended: the child, too.
    await server.exitCode()
    expect(server.output()).toContain('parent_gone')
    await expect(fetch(url)).rejects.toThrow()
  })
})
