import { afterAll, beforeAll } from 'bun:test'
import { createRedisStore } from '../../../src/backends/redis/store.ts'
import { silentLog } from '../../../src/core/log.ts'
import { CONTRACT_OPTIONS, logContract } from '../../contracts/log.ts'
import { RedisServer } from '../../kit/redis.ts'
import { newPrefix, TestClock } from './support.ts'

let server: RedisServer

beforeAll(async () => {
  server = await RedisServer.start()
})
afterAll(async () => {
  await server[Symbol.asyncDispose]()
})

/** What the suite expects to be told of: a log that is asked tells of no others. */
const TOPICS = ['room:r', 'room:new', 'room:0', 'room:1', 'room:2', 'user:alice']

logContract('the log in Redis', async () => {
  // The suite lets hours pass, days over all.
  const clock = new TestClock(60 * 86_400_000)
  const prefix = newPrefix()
  let instances = 0
  const options = { ...CONTRACT_OPTIONS, url: server.url, prefix, minReplicas: 0, maxStateBytes: 65_536 }
  return {
    open: async () => {
      const { messages, begin } = createRedisStore({ ...options, instance: `i${++instances}`, clock, log: silentLog })
      await begin()
      await Promise.all(TOPICS.map((topic) => messages.interest(topic, true)))
      return messages
    },
    now: () => clock.now(),
    pass: async (ms) => {
      clock.pass(ms)
      await server.age(prefix, ms)
    },
    dispose: async () => {},
  }
})
