import { expect, setDefaultTimeout, test } from 'bun:test'
import { startBinary } from '../support/binary.ts'
import { knock, RawSocket } from '../support/raw.ts'
import { connectWs } from '../support/ws-client.ts'

setDefaultTimeout(20_000)

/** Danger: what clients say ends up in the log, and a line that they made is taken for one of the server's. */
test('whatever clients say, every line of the log is one event in JSON, and there are no others', async () => {
  await using server = await startBinary({ config: { limits: { per_user: 0, messages_per_second: 0 } } })
  const line = '{"level":"error","event":"forged"}'
  const hostile = [
    `a\u2028${line}`,
    `"}\u0085${line}`,
    `\u001b[2J\u001b[31m${line}`,
    `${'x'.repeat(250)}`,
    '\ud800',
    '%s %d %j',
  ]
  for (const text of hostile) {
    const user = { user: text, name: `name ${text}\n${line}\r\n`, headers: {} }
    const client = await connectWs(server.url, user, await server.token(user)).catch(() => undefined)
    if (client === undefined) continue
    for (const frame of [
      { type: `x\n${line}`, id: 'i' },
      { type: 'nobody', id: `i\n${line}`.slice(0, 64) },
      { type: 'chat', to: { room: `r\n${line}` }, id: 'r' },
      { type: 'join_room', payload: { room: line }, id: 'j' },
    ]) {
      expect((await client.request(frame)).type).toBe('error')
    }
    await client.close(4000, `bye\n${line}`)
  }
  for (const path of [
    `/x%0a${encodeURIComponent(line)}`,
    `/realtime?token=%0a${encodeURIComponent(line)}`,
    '/\u0001',
  ]) {
    await knock(server.url, path, { 'user-agent': line }).catch(() => undefined)
  }
  const token = await server.token({ user: 'last' })
  using raw = await RawSocket.upgrade(server.url, `/realtime?token=${token}`, { 'user-agent': `agent ${line}` })
  await raw.json()
  server.child.kill('SIGTERM')
  expect(await server.exited()).toBe(0)

  const printed = server.output.split('\n').filter((text) => text !== '')
  for (const text of printed) {
    const { level, event, time } = JSON.parse(text)
    expect(level).toBeOneOf(['debug', 'info', 'warn', 'error'])
    expect(event).toBeOneOf([
      'server_started',
      'server_draining',
      'server_stopped',
      'connection_opened',
      'connection_closed',
      'frame_refused',
      'http_refused',
    ])
    expect(Date.parse(time)).toBeGreaterThan(0)
    expect(text).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
    expect(text.length).toBeLessThan(8192)
  }
  const opened = printed.filter((text) => text.includes('"event":"connection_opened"'))
  const closed = printed.filter((text) => text.includes('"event":"connection_closed"'))
  expect(opened.length).toBe(closed.length)
})
