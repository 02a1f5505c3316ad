import type { Case, Measured } from '../case.ts'
import { isMessage } from '../frames.ts'
import type { Load } from '../load.ts'
import { Publisher } from '../publisher.ts'
import { openFiles, settledResidentKiB } from '../usage.ts'

/** More than the open files of one process, here as in many places: 20,000. */
const CONNECTIONS = 50_000
const WORKERS = 3
/** Processes of the load, for the same reason. */
const HELPERS = 3
const ROOM = 'everyone'
/** The reading stands when garbage collection has brought nothing lower for so long. */
const QUIET_MS = 4000
/** Milliseconds from one broadcast to the next: much more than one takes, so that arrivals can be counted. */
const PACE_MS = 4000

const EACH = Math.floor(CONNECTIONS / HELPERS)

async function run(load: Load): Promise<Measured> {
  const pids = load.task.servers.map(({ pid }) => pid)
  const empty = await settledResidentKiB(pids, 1000)
  const files = Math.max(...pids.map(openFiles))
  const [sender] = await load.open(1, { rooms: () => [ROOM] })
  if (sender === undefined) throw new Error('no client')
  const publisher = new Publisher(sender, ROOM, 1)
  const started = wallMs()
  const helpers = Array.from({ length: HELPERS }, (_, n) => load.helper(n))
  await Promise.all(helpers.map(({ ready }) => ready))
  const resident = await settledResidentKiB(pids, QUIET_MS)
  const most = Math.max(...pids.map(openFiles)) - files
  const messages = load.size(6, 4)
  const sent: number[] = []
  await load.measure(async () => {
    for (let n = 0; n < messages; n++) {
      sent.push(wallMs())
      publisher.send(1)
      await Bun.sleep(PACE_MS)
    }
  }, 'the broadcasts')
  const found = await Promise.all(helpers.map(({ release }) => release()))
  const opened = Math.max(...found.map((each) => Number(each['opened'])))
  const arrivals = found.map(({ arrived }) => arrived as number[])
  const last = sent.map((at, n) => Math.max(...arrivals.map((each) => each[n] ?? Number.NaN)) - at)
  if (last.some(Number.isNaN)) throw new Error('not everybody was reached')
  return {
    open: HELPERS * EACH,
    connects: (1000 * HELPERS * EACH) / (opened - started),
    most,
    idle: empty / 1024,
    resident: resident / 1024,
    per_connection: (resident - empty) / (HELPERS * EACH),
    // The first one is the one for which everything is done for the first time.
    last_ms: last.slice(1),
    operations: messages * HELPERS * EACH,
  }
}

/** Holds its share of the connections, and notes when all of them have each message. */
async function assist(load: Load): Promise<Measured> {
  await load.open(EACH, { rooms: () => [ROOM] })
  const opened = wallMs()
  const arrived: number[] = []
  let messages = 0
  load.onFrame = (_, signature) => {
    if (isMessage(signature) && ++messages % EACH === 0) arrived.push(wallMs())
  }
  // Positions and counts keep coming to so many; only messages are counted.
  load.announce()
  await load.released()
  return { opened, arrived }
}

/** Of a clock that all processes share. */
function wallMs(): number {
  return performance.timeOrigin + performance.now()
}

export const workers: Case = {
  name: 'workers',
  title: `${CONNECTIONS.toLocaleString('en')} connections in one room, held by ${WORKERS} workers on one port`,
  sides: [{ name: `${WORKERS} workers`, workers: WORKERS }],
  metrics: [
    { key: 'open', title: 'connections open', unit: '', better: 'more', target: { atLeast: HELPERS * EACH } },
    { key: 'most', title: 'the most in one worker', unit: '', better: 'less' },
    { key: 'connects', title: 'connects per second until all are open', unit: '/s', better: 'more' },
    { key: 'idle', title: 'resident memory of all processes after the start', unit: 'MiB', better: 'less' },
    { key: 'resident', title: 'resident memory of all processes with all open', unit: 'MiB', better: 'less' },
    { key: 'per_connection', title: 'resident memory per connection', unit: 'KiB', better: 'less' },
    { key: 'last_ms', quantile: 0.5, title: 'a broadcast to the last of all, p50', unit: 'ms', better: 'less' },
    { key: 'last_ms', quantile: 0.95, title: 'a broadcast to the last of all, p95', unit: 'ms', better: 'less' },
  ],
  maxRounds: 2,
  run,
  assist,
}
