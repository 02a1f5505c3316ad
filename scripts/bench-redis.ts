/**
 * How many messages a second two publishing instances store through one Redis, and how long a message takes from one
 * instance to another beside within one; the same for messages that are stored nowhere; and what an instance pays for
 * messages of topics that it has no members of. Starts its own Redis and processes: `bun scripts/bench-redis.ts [SECONDS]`.
 */
import { createRedisStore, type RedisStore } from '../src/backends/redis/store.ts'
import { systemClock } from '../src/core/clock.ts'
import { silentLog } from '../src/core/log.ts'
import { RedisServer } from '../test/kit/redis.ts'

const PREFIX = 'bench'
/** Messages that a publisher has under way: as many clients that wait for their acknowledgement. */
const IN_FLIGHT = 500
const ROOMS = 100
const BODY = JSON.stringify({
  type: 'chat',
  payload: { text: 'x'.repeat(64) },
  id: '0mc3',
  room: 'lobby',
  timestamp: 1,
})

async function open(url: string, instance: string): Promise<RedisStore> {
  const store = createRedisStore({
    url,
    prefix: PREFIX,
    minReplicas: 0,
    instance,
    idempotencyMs: 120_000,
    horizonMs: 3_600_000,
    maxStateBytes: 65_536,
    clock: systemClock,
    log: silentLog,
  })
  await store.begin()
  return store
}

const RETENTION = { maxMessages: 1000, maxAgeMs: 3_600_000 }
let counter = 0

function append(store: RedisStore, instance: string, topic: string, keyed: boolean) {
  const id = `${instance}-${process.pid}-${(++counter).toString(36)}`
  return store.messages.append({
    topic,
    id,
    body: BODY,
    at: Date.now(),
    retention: RETENTION,
    ...(keyed && { idempotency: { scope: instance, key: id } }),
  })
}

/** Publishes for some seconds, to rooms that it has members of itself or not, and prints what came of it. */
async function publisher(url: string, instance: string, seconds: number, member: boolean, keyed: boolean) {
  const store = await open(url, instance)
  let told = 0
  store.messages.onCommitted((batch) => {
    told += batch.length
  })
  let gaps = 0
  store.messages.onGap(() => {
    gaps++
  })
  if (member) for (let n = 0; n < ROOMS; n++) await store.messages.interest(`room:${n}`, true)
  const waits: number[] = []
  const until = performance.now() + seconds * 1000
  const cpu = process.cpuUsage()
  const started = performance.now()
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async (_, n) => {
      while (performance.now() < until) {
        const from = performance.now()
        await append(store, instance, `room:${n % ROOMS}`, keyed)
        waits.push(performance.now() - from)
      }
    }),
  )
  const elapsed = (performance.now() - started) / 1000
  const { user, system } = process.cpuUsage(cpu)
  waits.sort((a, b) => a - b)
  console.log(
    JSON.stringify({
      per_second: Math.round(waits.length / elapsed),
      told_per_second: Math.round(told / elapsed),
      ack_p50_ms: at(waits, 0.5),
      ack_p99_ms: at(waits, 0.99),
      cpu_us_per_message: Math.round((user + system) / waits.length),
      gaps,
      ...store.counters(),
    }),
  )
  await store.close()
}

const at = (sorted: readonly number[], share: number): number =>
  Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(3))

/** Runs this file as a child and reads the line that it prints. */
async function run(...args: string[]): Promise<Record<string, number>> {
  const child = Bun.spawn([process.execPath, import.meta.path, ...args], { stdout: 'pipe', stderr: 'inherit' })
  return JSON.parse(await new Response(child.stdout).text())
}

async function spawnPublishers(url: string, seconds: number, member: boolean, keyed: boolean) {
  return await Promise.all(
    ['a', 'b'].map((name) => run('--publisher', url, name, `${seconds}`, `${member}`, `${keyed}`)),
  )
}

/** From an append on one instance until the listener of another one, and until the one of the same. */
async function latency(url: string, messages: number) {
  const here = await open(url, 'here')
  const there = await open(url, 'there')
  const sent = new Map<string, number>()
  const waits: Record<'here' | 'there', number[]> = { here: [], there: [] }
  for (const [name, store] of [['here', here] as const, ['there', there] as const]) {
    await store.messages.interest('room:latency', true)
    store.messages.onCommitted((batch) => {
      for (const { id } of batch) waits[name].push(performance.now() - (sent.get(id) ?? 0))
    })
  }
  for (let n = 0; n < messages; n++) {
    const id = `latency-${n}`
    sent.set(id, performance.now())
    await here.messages.append({ topic: 'room:latency', id, body: BODY, at: Date.now(), retention: RETENTION })
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  await here.close()
  await there.close()
  for (const list of Object.values(waits)) list.sort((a, b) => a - b)
  return {
    same_instance: { p50_ms: at(waits.here, 0.5), p99_ms: at(waits.here, 0.99) },
    other_instance: { p50_ms: at(waits.there, 0.5), p99_ms: at(waits.there, 0.99) },
  }
}

/** Says things that are stored nowhere, as fast as the other instance hears them, and counts what it hears itself. */
async function talker(url: string, instance: string, seconds: number) {
  const store = await open(url, instance)
  let heard = 0
  store.bus.onMessage(() => {
    heard++
  })
  for (let n = 0; n < ROOMS; n++) await store.messages.interest(`room:${n}`, true)
  await Bun.sleep(500)
  const until = performance.now() + seconds * 1000
  const cpu = process.cpuUsage()
  let said = 0
  for (heard = 0; performance.now() < until; ) {
    for (let n = 0; n < 100; n++) store.bus.publish(`room:${said++ % ROOMS}`, { kind: 'frame', body: BODY })
    // Neither runs away from the other by more than what is on its way.
    while (said - heard > 5000 && performance.now() < until) await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { user, system } = process.cpuUsage(cpu)
  console.log(
    JSON.stringify({
      said_per_second: Math.round(said / seconds),
      heard_per_second: Math.round(heard / seconds),
      cpu_us_per_message: Math.round((user + system) / (said + heard)),
      ...store.counters(),
    }),
  )
  await store.close()
}

/** An instance with members of nothing that is said: its processor time in some seconds. */
async function bystander(url: string, seconds: number) {
  const store = await open(url, 'bystander')
  await store.messages.interest('room:silent', true)
  await Bun.sleep(1000)
  const cpu = process.cpuUsage()
  await Bun.sleep(seconds * 1000)
  const { user, system } = process.cpuUsage(cpu)
  console.log(JSON.stringify({ cpu_us: user + system }))
  await store.close()
}

const [mode, url = '', name = '', seconds = '5', member = '', keyed = ''] = process.argv.slice(2)
if (mode === '--publisher') {
  await publisher(url, name, Number(seconds), member === 'true', keyed === 'true')
  process.exit(0)
}
if (mode === '--talker') {
  await talker(url, name, Number(seconds))
  process.exit(0)
}
if (mode === '--bystander') {
  await bystander(url, Number(seconds))
  process.exit(0)
}
const duration = Number(mode ?? 5)
await using server = await RedisServer.start()
for (const keyed of [false, true]) {
  for (const member of [false, true]) {
    await server.admin.config('RESETSTAT')
    const cpu = await redisCpu()
    const results = await spawnPublishers(server.url, duration, member, keyed)
    const total = results.reduce((sum, { per_second = 0 }) => sum + per_second, 0)
    const used = (await redisCpu()) - cpu
    console.log(
      JSON.stringify({
        case: `stored, ${keyed ? 'with' : 'without'} idempotency keys, ${member ? 'members of all rooms on both' : 'no members'}`,
        per_second: total,
        redis_cpu_us_per_message: Number(((used * 1e6) / (total * duration)).toFixed(1)),
        instances: results,
      }),
    )
  }
}
const talkers = await Promise.all(['a', 'b'].map((each) => run('--talker', server.url, each, `${duration}`)))
console.log(JSON.stringify({ case: 'stored nowhere, members of all rooms on both', instances: talkers }))
const [idle] = await Promise.all([run('--bystander', server.url, 'x', `${duration}`)])
const before = await storedSoFar()
const [beside] = await Promise.all([
  run('--bystander', server.url, 'x', `${duration}`),
  spawnPublishers(server.url, duration + 2, false, false),
])
const passed = ((await storedSoFar()) - before) * (duration / (duration + 2))
const extra = ((beside?.['cpu_us'] ?? 0) - (idle?.['cpu_us'] ?? 0)) / (passed / 1000)
console.log(
  JSON.stringify({
    case: 'an instance without members of the topics',
    idle_cpu_us: idle?.['cpu_us'],
    beside_cpu_us: beside?.['cpu_us'],
    messages: Math.round(passed),
    cpu_us_per_1000_messages: Number(extra.toFixed(2)),
  }),
)
console.log(JSON.stringify({ case: 'latency, one message at a time', ...(await latency(server.url, 1000)) }))
process.exit(0)

/** Messages that the log has had, over all topics. */
async function storedSoFar(): Promise<number> {
  const fields = await server.admin.hgetall(`${PREFIX}:1:log`)
  return Object.entries(fields).reduce(
    (sum, [field, value]) => sum + (field.startsWith('t:') ? Number(value.split(' ')[3]) : 0),
    0,
  )
}

async function redisCpu(): Promise<number> {
  const info = await server.admin.info('cpu')
  const read = (field: string): number => Number(new RegExp(`${field}:([\\d.]+)`).exec(info)?.[1] ?? 0)
  return read('used_cpu_user') + read('used_cpu_sys')
}
