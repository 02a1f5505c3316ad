import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { newSecret } from '../../src/config.ts'
import { startBinary } from '../support/binary.ts'
import { RawSocket, requestHead } from '../support/raw.ts'

setDefaultTimeout(30_000)

/**
 * Danger: a token in a log, an answer or a file is a password that lies about: whoever reads there can be its user.
 * Tokens come in every way there is, good and bad, to the server as it is shipped and at its most talkative.
 */
describe('a token', () => {
  test('is in no log line, no answer, no record and no file, however it came', async () => {
    const key = newSecret()
    const config = { admin: { keys: [key] }, auth: { cookie: 'session' }, store: { path: './data/tidings.db' } }
    const limits = { per_user: 2, connects_per_second: 0 }
    await using server = await startBinary({
      config: { ...config, limits, server: { allowed_origins: ['https://app.example'] } },
    })
    const seen: string[] = []
    const signatures: string[] = []
    const token = async (changes: object) => {
      const made = await server.token({ user: 'canary', meta: { plan: 'pro' }, ...changes })
      signatures.push(made.split('.')[2] ?? '')
      return made
    }
    const ways: ((token: string) => [path: string, headers: Record<string, string>])[] = [
      (it) => [`/realtime?token=${it}`, {}],
      (it) => [`/realtime?close_reason=1&token=${it}`, {}],
      (it) => [`/realtime?rooms=a&token=${it}&x=1`, {}],
      (it) => [`/ws?token=${it}`, {}],
      (it) => [`/nowhere?token=${it}`, {}],
      (it) => [`/nowhere/${it}`, {}],
      (it) => ['/realtime', { authorization: `Bearer ${it}` }],
      (it) => ['/realtime', { 'sec-websocket-protocol': `tidings.v1.json, token.${it}` }],
      (it) => ['/realtime', { cookie: `session=${it}`, origin: 'https://app.example' }],
      (it) => ['/realtime', { authorization: `Bearer ${it}`, origin: 'https://evil.example' }],
      (it) => ['/realtime', { authorization: `Bearer ${it}`, 'user-agent': `agent token=${it}` }],
      (it) => [`/realtime/connections?token=${it}`, { authorization: `Bearer ${it}` }],
    ]
    const sockets: RawSocket[] = []
    for (const kind of ['good', 'expired', 'forged']) {
      for (const way of ways) {
        const made = await token(kind === 'expired' ? { expiresIn: -1 } : {})
        const [path, headers] = way(kind === 'forged' ? `${made}x` : made)
        const raw = await RawSocket.open(server.url)
        sockets.push(raw)
        raw.write(requestHead(path, headers))
        const head = await raw.head()
        seen.push(JSON.stringify([...head.headers]))
        if (head.status === 101) {
          // A frame may carry one too, right or wrong.
          raw.send({ type: 'refresh_token', id: 'r', payload: { token: made } })
          raw.send({ type: 'refresh_token', payload: { token: `${made}x` } })
          raw.send({ type: `token=${made}` })
          raw.send({ type: 'ping', id: 'last' })
          for (let frame = await raw.json().catch(() => ({})); ; frame = await raw.json().catch(() => ({}))) {
            seen.push(JSON.stringify(frame))
            if (!('type' in frame) || ('correlation_id' in frame && frame.correlation_id === 'last')) break
          }
        } else {
          const length = Number(head.headers.get('content-length') ?? 0)
          seen.push(`${length} bytes`)
        }
      }
    }
    for (const path of [
      '/realtime/connections',
      '/realtime/users/canary',
      '/api/websocket/status',
      '/metrics',
      '/readyz',
    ]) {
      seen.push(await (await fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${key}` } })).text())
    }
    expect(seen.join()).toContain('"user_id":"canary"')
    for (const raw of sockets) raw[Symbol.dispose]()
    server.child.kill('SIGTERM')
    await server.exited()

    const files = filesIn(server.folder).filter((file) => !file.endsWith('settings.json'))
    const text = [server.output, ...seen, ...files.map((file) => readFileSync(file, 'latin1'))].join('\n')
    for (const signature of signatures) expect(text).not.toContain(signature.slice(0, 20))
    expect(text).not.toContain(key)
    expect(text).not.toContain(server.secret)
    for (const line of server.lines) expect(line).toHaveProperty('event')
  })
})

function filesIn(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesIn(path) : [path]
  })
}
