import { describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { exportJWK, generateKeyPair } from 'jose'
import { issueToken } from '../../src/auth/issue.ts'
import { newSecret } from '../../src/config.ts'
import { files } from '../config/support.ts'
import { program, tidingsProcess } from './process.ts'
import { SECRET } from './support.ts'

const ADDRESS = /Address +(http:\S+)/
const DEVELOPMENT = ['serve', '--dev', '--port=0', '--store.path=:memory:']

describe('development', () => {
  test('what the banner offers to paste shows a message arrive', async () => {
    await using server = tidingsProcess(DEVELOPMENT)
    await server.printed(/Then say hello as bob[^\n]*\n.+\n/)
    const [listen = '', speak = ''] = server.output().match(/^\S.* -e '.+'$/gm) ?? []

    // Replaced by the program, so that what is killed at the end is the program and not a shell before it.
    await using alice = program(['sh', '-c', `exec ${listen}`])
    await alice.printed(/"type":"welcome"/)
    await using bob = program(['sh', '-c', speak])
    expect(await bob.printed(/"type":"(ack|error)"/)).toBe('ack')
    expect(await alice.printed(/"text":"(\w+)"/)).toBe('hello')
    expect(await bob.exitCode()).toBe(0)
  })

  test('the secret that was made is printed nowhere, and the tokens are in no log line', async () => {
    await using server = tidingsProcess(DEVELOPMENT)
    await server.printed(/server_started/)
    const token = await server.printed(/^(ey\S+)$/m)
    const logged = server
      .output()
      .split('\n')
      .filter((line) => line.startsWith('{'))
    expect(logged.join('\n')).not.toContain(token)
    expect(server.output()).not.toMatch(/^[A-Za-z0-9_-]{64}$/m)
  })

  test('without a secret to sign with, the banner says why there is no token', async () => {
    const { publicKey } = await generateKeyPair('ES256', { extractable: true })
    using folder = files({ 'keys.json': JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'a' }] }) })
    await using server = tidingsProcess([...DEVELOPMENT, '--auth.jwks', folder.path('keys.json')])
    expect(await server.printed(/No tokens to try it with: .*/)).toContain('private keys')
  })
})

describe('production', () => {
  test('prints log lines only', async () => {
    await using server = tidingsProcess(['serve', '--port=0', '--store.path=:memory:'], { TIDINGS_AUTH_SECRET: SECRET })
    await server.printed(/server_started/)
    for (const line of server.output().trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('event')
  })

  test('does not start without a secret, and exits with 1', async () => {
    await using server = tidingsProcess(['serve', '--port=0'])
    expect(await server.exitCode()).toBe(1)
    expect(server.output()).toContain('tidings token --new-secret')
  })

  test('a port that is taken exits with 1 and says so', async () => {
    await using first = tidingsProcess(DEVELOPMENT)
    const { port } = new URL(await first.printed(ADDRESS))
    await using second = tidingsProcess(['serve', '--dev', `--port=${port}`, '--store.path=:memory:'])
    expect(await second.exitCode()).toBe(1)
    expect(second.output()).toContain('or --port): the port is in use')
  })
})

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s stops the server, which exits with 0', async (signal) => {
    await using server = tidingsProcess(DEVELOPMENT)
    await server.printed(ADDRESS)
    server.child.kill(signal)
    expect(await server.exitCode()).toBe(0)
  })

  test('a second one exits at once, with 1', async () => {
    await using server = tidingsProcess([...DEVELOPMENT, '--drain.delay_ms=3600000', '--drain.deadline_ms=3600000'])
    await server.printed(ADDRESS)
    server.child.kill('SIGTERM')
    await server.printed(/server_draining/)
    server.child.kill('SIGTERM')
    expect(await server.exitCode()).toBe(1)
  })

  test('SIGHUP takes a new secret without a disconnect, and says when it has', async () => {
    using folder = files({ secret: SECRET })
    await using server = tidingsProcess(DEVELOPMENT, { TIDINGS_AUTH_SECRET_FILE: folder.path('secret') })
    const url = await server.printed(ADDRESS)
    const before = await connect(url, await issueToken(SECRET, { user_id: 'alice' }, 60))
    expect(before?.readyState).toBe(WebSocket.OPEN)

    const next = newSecret()
    const token = await issueToken(next, { user_id: 'alice' }, 60)
    expect(await connect(url, token)).toBeUndefined()
    writeFileSync(folder.path('secret'), next)
    server.child.kill('SIGHUP')
    await server.printed(/"event":"keys_reloaded"/)
    const after = await connect(url, token)
    expect(after?.readyState).toBe(WebSocket.OPEN)
    expect(before?.readyState).toBe(WebSocket.OPEN)
    before?.close()
    after?.close()
  })

  test('SIGHUP with a secret that is refused keeps the old one and says so', async () => {
    using folder = files({ secret: SECRET })
    await using server = tidingsProcess(DEVELOPMENT, { TIDINGS_AUTH_SECRET_FILE: folder.path('secret') })
    const url = await server.printed(ADDRESS)
    writeFileSync(folder.path('secret'), 'short')
    server.child.kill('SIGHUP')
    await server.printed(/key_reload_failed.*at least 32 bytes/)
    const socket = await connect(url, await issueToken(SECRET, { user_id: 'alice' }, 60))
    expect(socket?.readyState).toBe(WebSocket.OPEN)
    socket?.close()
  })
})

/** An open socket, or `undefined` where the server refused it. */
function connect(url: string, token: string): Promise<WebSocket | undefined> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/realtime?token=${token}`)
  return new Promise((resolve) => {
    socket.onopen = () => resolve(socket)
    socket.onerror = () => resolve(undefined)
  })
}
