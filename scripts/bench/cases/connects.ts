import type { Case, Measured } from '../case.ts'
import type { Load } from '../load.ts'

const OPEN = 10_000
const WARM_UP = 500

async function run(load: Load): Promise<Measured> {
  await load.open(WARM_UP)
  const started = performance.now()
  await load.measure(() => load.open(OPEN), 'connects')
  const seconds = (performance.now() - started) / 1000
  const single: number[] = []
  for (let i = 0; i < load.size(500, 200); i++) {
    const begun = performance.now()
    const [client] = await load.open(1)
    single.push(performance.now() - begun)
    client?.close()
  }
  return { connects: OPEN / seconds, operations: OPEN, connect_ms: single }
}

export const connects: Case = {
  name: 'connects',
  title: 'connects with HS256 tokens (the baseline checks nothing), each until its welcome',
  metrics: [
    { key: 'connects', title: 'connects per second, 64 at a time, to 10,000 open', unit: '/s', better: 'more' },
    { key: 'connect_ms', quantile: 0.5, title: 'one more while 10,000 are open, p50', unit: 'ms', better: 'less' },
    {
      key: 'connect_ms',
      quantile: 0.99,
      title: 'one more while 10,000 are open, p99',
      unit: 'ms',
      better: 'less',
      target: { atMost: 100 },
    },
  ],
  run,
}
