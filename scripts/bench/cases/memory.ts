import type { Case, Measured, Metric } from '../case.ts'
import type { Load } from '../load.ts'
import { settledResidentKiB } from '../usage.ts'

const OPEN = 10_000
const ROOMS = ['alpha', 'bravo', 'delta']
/** Connections that are open before the first reading, so that what grows once is not spread over the others. */
const FIRST = 200
/** The reading stands when garbage collection has brought nothing lower for so long. */
const QUIET_MS = 4000

export async function perConnection(load: Load): Promise<Measured> {
  const { pid } = load.server
  const empty = await settledResidentKiB([pid], 1000)
  await load.open(FIRST, { rooms: () => ROOMS })
  await load.settle()
  const before = await settledResidentKiB([pid], QUIET_MS)
  await load.measure(() => load.open(OPEN, { rooms: () => ROOMS }), 'connects')
  await load.settle()
  const after = await settledResidentKiB([pid], QUIET_MS)
  return {
    per_connection: (after - before) / OPEN,
    with_growth: (after - empty) / (OPEN + FIRST),
    resident: after / 1024,
    idle: empty / 1024,
  }
}

/** What {@link perConnection} finds, with the most that a connection may take. */
export function sizes(atMost: number): Metric[] {
  return [
    {
      key: 'per_connection',
      title: 'resident memory per connection, after the first 200',
      unit: 'KiB',
      better: 'less',
      target: { atMost },
    },
    { key: 'with_growth', title: 'the same, with all that grew since the start', unit: 'KiB', better: 'less' },
    { key: 'idle', title: 'resident memory after the start', unit: 'MiB', better: 'less' },
    { key: 'resident', title: 'resident memory with all open', unit: 'MiB', better: 'less' },
  ]
}

export const memory: Case = {
  name: 'memory',
  title: '10,000 idle connections, each in the same three rooms',
  metrics: sizes(5),
  maxRounds: 2,
  run: perConnection,
}
