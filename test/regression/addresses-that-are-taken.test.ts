import { expect, test } from 'bun:test'
import { tidingsProcess } from '../cli/process.ts'
import { SECRET } from '../cli/support.ts'

// Of an admin listener that was taken the operator read that "the port" was in use, of an address that the machine does
// not have a stack trace.
const start = (...flags: string[]) =>
  tidingsProcess(['serve', '--port=0', '--store.path=:memory:', '--log.level=error', ...flags], {
    TIDINGS_AUTH_SECRET: SECRET,
  })

test('an address at which nothing can listen is said in one line, with the setting that names it', async () => {
  using taken = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response() })
  const address = `127.0.0.1:${taken.port}`
  for (const [flag, said] of [
    [
      '--server.host=203.0.113.7',
      '203.0.113.7, port 0 (server.host and server.port, or --port): that is no address of this machine.',
    ],
    [`--admin.listen=${address}`, `127.0.0.1, port ${taken.port} (admin.listen): the port is in use.`],
    [`--server.port=${taken.port}`, `port ${taken.port} (server.host and server.port, or --port): the port is in use.`],
  ] as const) {
    await using server = start('--server.host=127.0.0.1', flag)
    expect(await server.exitCode()).toBe(1)
    expect(server.output()).toStartWith('tidings: Nothing can listen on ')
    expect(server.output()).toContain(said)
    expect(server.output().trim()).not.toContain('\n')
  }
})
