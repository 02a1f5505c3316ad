import { expect, test } from 'bun:test'
import { tidings } from './support.ts'

/** A server whose readiness is `status`. */
function answering(status: number) {
  const paths: string[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request) => {
      paths.push(new URL(request.url).pathname)
      return new Response(null, { status })
    },
  })
  return { port: String(server.port), paths, [Symbol.asyncDispose]: () => server.stop(true) }
}

test('a ready server at the configured port exits with 0', async () => {
  await using server = answering(200)
  for (const args of [
    ['--port', server.port],
    ['--server.port', server.port, '--server.host=0.0.0.0'],
  ]) {
    expect(await tidings(['health', ...args])).toEqual({ code: 0, out: 'ready', err: '' })
  }
  expect((await tidings(['health'], { TIDINGS_SERVER_PORT: server.port, TIDINGS_AUTH_SECRET: '' })).code).toBe(0)
  expect(server.paths).toEqual(['/readyz', '/readyz', '/readyz'])
})

test('a server that is not ready exits with 1 and says what it answered', async () => {
  await using server = answering(503)
  const { code, err } = await tidings(['health', '--url', `http://127.0.0.1:${server.port}/readyz`])
  expect([code, err]).toEqual([1, `not ready: http://127.0.0.1:${server.port}/readyz answered 503`])
})

test('no server at all exits with 1 and says so in one line', async () => {
  const server = answering(200)
  await server[Symbol.asyncDispose]()
  const { code, err } = await tidings(['health', '--port', server.port])
  expect([code, err]).toEqual([1, `not ready: no answer from http://127.0.0.1:${server.port}/readyz (ECONNREFUSED)`])
})
