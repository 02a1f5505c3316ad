import { expect, test } from 'bun:test'
import { GatheringRedis } from '../../../src/backends/redis/gathering-redis.ts'
import { RedisServer } from '../../kit/redis.ts'

test('what is given in one turn of the event loop is written at once and at its end, in the order given, pipelines too', async () => {
  await using server = await RedisServer.start()
  const redis = new GatheringRedis({ port: server.port, lazyConnect: true, enableReadyCheck: false })
  await redis.connect()
  const answers = [redis.incr('n'), redis.pipeline().incr('n').incr('n').exec(), redis.incr('n')]
  await Promise.resolve()
  const later = redis.incr('n')
  const { writableLength } = redis.stream
  const text = (count: number) => '*2\r\n$4\r\nincr\r\n$1\r\nn\r\n'.length * count
  expect(writableLength).toBe(text(4))
  await new Promise((resolve) => setImmediate(resolve))
  expect(redis.stream.writableLength).toBe(0)
  const pair = [
    [null, 2],
    [null, 3],
  ]
  expect<unknown[]>(await Promise.all([...answers, later])).toEqual([1, pair, 4, 5])
  redis.disconnect()
})

test('commands are given and answered one after the other as well, and fail when the connection breaks', async () => {
  await using server = await RedisServer.start()
  const redis = new GatheringRedis({ port: server.port, lazyConnect: true, retryStrategy: () => null })
  redis.on('error', () => {})
  await redis.connect()
  expect(await redis.incr('n')).toBe(1)
  expect(await redis.incr('n')).toBe(2)
  const pending = redis.incr('n')
  redis.stream.destroy()
  expect(await pending.catch((error: Error) => error.message)).toBe('Connection is closed.')
})
