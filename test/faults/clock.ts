import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holds, Ledger } from './accounting.ts'
import { Device } from './device.ts'
import { type Fault, must, none, Skipped } from './fault.ts'
import { Publisher } from './publisher.ts'
import { FaultServer } from './server.ts'

interface Size {
  readonly devices: number
  readonly perSecond: number
  /** Milliseconds between two jumps. */
  readonly everyMs: number
  /** Rounds through all jumps. */
  readonly rounds: number
}

/** Where the library that answers for the clock is, by distribution. */
const LIBRARIES = ['x86_64-linux-gnu/', 'aarch64-linux-gnu/', ''].map(
  (arch) => `/usr/lib/${arch}faketime/libfaketime.so.1`,
)

/** Offsets of the wall clock that follow one another: forwards, backwards, and home. */
const JUMPS = ['+1h', '+0', '-1h', '+1d', '-1d', '+0']

const DAYS_S = 86_400

export const clock: Fault<Size> = {
  number: 15,
  title:
    'the wall clock jumps by an hour and a day, and backwards: nobody is cut off, no cursor comes twice, the order holds',
  short: { devices: 10, perSecond: 200, everyMs: 250, rounds: 1 },
  long: { devices: 200, perSecond: 1000, everyMs: 2000, rounds: 5 },

  async run({ devices, perSecond, everyMs, rounds }, chance) {
    const library = LIBRARIES.find(existsSync)
    if (library === undefined)
      throw new Skipped("libfaketime (Debian's package of that name) is needed to move the clock")
    const folder = mkdtempSync(join(tmpdir(), 'tidings-fault-'))
    const file = join(folder, 'clock')
    const jump = (offset: string): void => writeFileSync(file, `${offset}\n`)
    jump('+0')
    try {
      await using cleanup = new AsyncDisposableStack()
      const server = cleanup.use(
        await FaultServer.start({
          folder,
          // A jump makes everything old: age is not what is tried.
          config: { rooms: [{ pattern: '*', history: { max_messages: 100_000, max_age: '30d' } }] },
          env: {
            LD_PRELOAD: library,
            FAKETIME_TIMESTAMP_FILE: file,
            FAKETIME_NO_CACHE: '1',
            FAKETIME_DONT_FAKE_MONOTONIC: '1',
            DONT_FAKE_MONOTONIC: '1',
          },
        }),
      )
      const ledger = new Ledger()
      const url = () => server.url
      const all: Device[] = []
      for (let n = 0; n < devices; n++) {
        // Half of them stay, with a token that ends in an hour; the others come and go with one that does not.
        const stays = n % 2 === 0
        const user = `u${n}`
        const token = await server.token({ user, device: 'd', ...(!stays && { expiresIn: 365 * DAYS_S }) })
        const device = new Device({ name: user, user, url, token, rooms: ['lobby'], takesOver: n % 4 === 1 })
        cleanup.defer(() => device.stop())
        await device.start()
        all.push(device)
      }
      const token = await server.token({ user: 'publisher', device: 'p', roles: ['admin'], expiresIn: 365 * DAYS_S })
      const publisher = new Publisher({ name: 'p', url, token, ledger })
      cleanup.defer(() => publisher.stop())
      await publisher.start()
      const stop = new AbortController()
      const running = publisher.run(['room:lobby', ...all.map(({ app }) => `user:${app.name}`)], perSecond, stop.signal)

      for (let round = 0; round < rounds; round++) {
        for (const offset of JUMPS) {
          jump(offset)
          for (let n = 0; n < 5; n++) {
            await Bun.sleep(everyMs / 5)
            all[1 + 2 * chance.below(Math.floor(devices / 2))]?.reset()
          }
        }
      }
      const stayed = all.filter((_, n) => n % 2 === 0)
      const cutOff = stayed.filter(({ connects }) => connects !== 1)
      must(cutOff.length === 0, `${cutOff.length} of ${stayed.length} were cut off: ${[...(cutOff[0]?.closes ?? [])]}`)
      // Started again while the clock is behind what was stored.
      for (const offset of ['-1h', '+1h', '+0']) {
        jump(offset)
        await server.kill()
        await server.start()
        await Bun.sleep(everyMs)
      }
      stop.abort()
      await running
      const last = Math.max(...[...ledger.all()].map(({ cursor }) => cursor))
      await Promise.all(all.map((device) => device.reaches(last)))

      holds(
        ledger,
        all.map(({ app }) => app),
      )
      none(
        'sent out of order',
        all.flatMap(({ breaches }) => breaches),
      )
      const cursors = [...ledger.all()].flatMap(({ cursor }) => (cursor > 0 ? [cursor] : []))
      must(new Set(cursors).size === cursors.length, 'a cursor was given twice')
      must(
        all.every(({ notRecovered }) => notRecovered === 0),
        'something was said to be missing that was not',
      )
      return {
        jumps: rounds * JUMPS.length + 3,
        published: cursors.length,
        delivered: all.reduce((sum, { app }) => sum + app.got.length, 0),
        returns: all.reduce((sum, { connects }) => sum + connects - 1, 0),
      }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}
