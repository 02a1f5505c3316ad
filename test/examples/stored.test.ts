/** The examples that miss nothing, through the end of the server and their own. */
import { expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { issueToken } from '../../src/auth/issue.ts'
import { newSecret } from '../../src/config.ts'
import { program, tidingsProcess } from '../cli/process.ts'
import { files } from '../config/support.ts'
import { clientsOf } from '../support/clients.ts'
import { restartable } from '../support/restartable.ts'
import { until } from '../support/until.ts'

const SOURCE = [process.execPath, 'src/main.ts']
/** Programs start and are killed several times. */
const TIMEOUT_MS = 30_000

/** What a file holds; nothing where it is not there yet. */
function read(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

function example(file: string, args: readonly string[], env: Record<string, string>) {
  return program([process.execPath, `examples/${file}`, ...args], env)
}

async function setUp() {
  const { rooms } = Bun.TOML.parse(readFileSync('examples/rooms.toml', 'utf8')) as { rooms: never[] }
  const server = await restartable(SOURCE, { rooms })
  const { client, closeAll } = clientsOf(server.url, server.token)
  const alice = client({ user: 'alice', device: 'desk' })
  await alice.connect()
  return {
    server,
    alice,
    env: async (user: string) => ({
      REALTIME_URL: `${server.url.replace('http', 'ws')}/realtime`,
      TOKEN: await server.token({ user }),
    }),
    async [Symbol.asyncDispose]() {
      closeAll()
      await server[Symbol.asyncDispose]()
    },
  }
}

test(
  'resume: writes everything down once, through kill -9 of itself and of the server',
  async () => {
    await using setting = await setUp()
    const { server, alice } = setting
    using folder = files({})
    const args = ['meeting:1', folder.path('position.txt')]
    const env = await setting.env('bob')
    const meeting = await alice.join('meeting:1')
    const said = (output: string) => [...output.matchAll(/^alice: (.*)$/gm)].map(([, text]) => text)

    const first = example('resume.ts', args, env)
    await first.printed(/in meeting:1, 0 to catch up on/)
    const { cursor } = await meeting.publish('chat', { text: 'one' })
    await first.printed(/alice: one/)
    await until(() => Number(read(folder.path('position.txt'))) >= Number(cursor))
    await first[Symbol.asyncDispose]()
    await meeting.publish('chat', { text: 'two' })
    await meeting.publish('chat', { text: 'three' })

    await using second = example('resume.ts', args, env)
    await second.printed(/2 to catch up on[\s\S]*alice: three/)
    await server.kill()
    await second.printed(/the connection ended: 1006/)
    await server.start()
    await meeting.publish('chat', { text: 'four' })
    await second.printed(/alice: four/)
    expect(said(first.output())).toEqual(['one'])
    expect(said(second.output())).toEqual(['two', 'three', 'four'])
    expect(second.output()).not.toContain('missing')
  },
  TIMEOUT_MS,
)

test(
  'resume: says that something is missing where the room no longer has it, and ends where it may not come back',
  async () => {
    await using setting = await setUp()
    using folder = files({ 'position.txt': '1' })
    const env = await setting.env('bob')
    await using old = example('resume.ts', ['meeting:1', folder.path('position.txt')], env)
    await old.printed(/something may be missing since 1\n/)
    await using refused = example('resume.ts', ['meeting:1', folder.path('other.txt')], {
      ...env,
      TOKEN: 'not.a.token',
    })
    expect(await refused.exitCode()).toBe(1)
    expect(refused.output()).toContain('The token is not valid')
  },
  TIMEOUT_MS,
)

test(
  'inbox: each device has every message once, whenever it was there, through kill -9 of the server',
  async () => {
    await using setting = await setUp()
    const { server, alice } = setting
    using folder = files({})
    const env = await setting.env('bob')
    const device = (name: string) => example('inbox.ts', [name, folder.path(`${name}.txt`)], env)
    const has = (name: string) => read(folder.path(`${name}.txt`))
    const send = (text: string) => alice.publish({ user_id: 'bob' }, 'direct', { text })

    for (const name of ['phone', 'laptop']) {
      await using known = device(name)
      await known.printed(/open/)
    }
    await send('one')
    await using phone = device('phone')
    await until(() => has('phone') === 'alice: one\n')
    await server.kill()
    await server.start()
    await send('two')
    await until(() => has('phone') === 'alice: one\nalice: two\n')
    await using laptop = device('laptop')
    await until(() => has('laptop') === 'alice: one\nalice: two\n')
    expect(phone.output()).not.toContain('missing')
    expect(laptop.output()).not.toContain('missing')
  },
  TIMEOUT_MS,
)

test(
  'guest: asks for a track, votes for it, and is told what goes on',
  async () => {
    const SECRET = newSecret()
    const serve = ['serve', '--dev', '--port=0', '--store.path=:memory:', '--app=examples/jukebox.ts']
    await using server = tidingsProcess(serve, { TIDINGS_AUTH_SECRET: SECRET })
    const REALTIME_URL = `${(await server.printed(/Address +(http:\S+)/)).replace('http', 'ws')}/realtime`
    const guest = async (user: string, ...args: string[]) => {
      const TOKEN = await issueToken(SECRET, { user_id: user }, 3600)
      return example('guest.ts', ['bar', ...args], { REALTIME_URL, TOKEN })
    }
    await using listening = await guest('carol')
    await listening.printed(/in the bar, 1 here/)
    for (const [user, answer] of [
      ['alice', 'number 1 on the list\n'],
      ['bob', 'on the list already, with 2 votes now\n'],
    ] as const) {
      await using asking = await guest(user, 'So What')
      expect(await asking.exitCode()).toBe(0)
      expect(asking.output()).toBe(answer)
    }
    await listening.printed(/So What: 2/)
    expect(listening.output()).toBe('in the bar, 1 here\nalice asks for So What\nSo What: 2\n')
  },
  TIMEOUT_MS,
)
