import { describe, expect, test } from 'bun:test'
import { parseAddress } from '../../../src/backends/redis/address.ts'
import { BackendError } from '../../../src/backends/redis/backend-error.ts'

describe('where Redis is', () => {
  test('a server, its port, database, user and password', () => {
    expect(parseAddress('redis://redis.internal').options).toEqual({ host: 'redis.internal', port: 6379, db: 0 })
    expect(parseAddress('redis://app:p%40ss@10.0.0.1:7000/3').options).toEqual({
      username: 'app',
      password: 'p@ss',
      host: '10.0.0.1',
      port: 7000,
      db: 3,
    })
    expect(parseAddress('redis://:secret@[::1]:7000').options).toEqual({
      password: 'secret',
      host: '::1',
      port: 7000,
      db: 0,
    })
  })

  test('TLS, where the scheme says so', () => {
    expect(parseAddress('rediss://redis.internal').options).toMatchObject({ host: 'redis.internal', tls: {} })
  })

  test('sentinels, and the group whose primary they name', () => {
    expect(parseAddress('redis+sentinel://app:secret@one:26380,two/main/2').options).toEqual({
      username: 'app',
      password: 'secret',
      db: 2,
      name: 'main',
      sentinels: [
        { host: 'one', port: 26_380 },
        { host: 'two', port: 26_379 },
      ],
    })
    expect(parseAddress('rediss+sentinel://one/main').options).toMatchObject({
      tls: {},
      enableTLSForSentinelMode: true,
    })
  })

  test('its name in lines for an operator has no password', () => {
    for (const url of ['redis://app:secret@one:7000/1', 'redis+sentinel://app:secret@one,two/main'])
      expect(parseAddress(url).name).not.toContain('secret')
  })

  test('what cannot be meant is refused', () => {
    const urls = [
      'redis://',
      'http://one',
      'redis://one,two',
      'redis+sentinel://one',
      'redis://one/first',
      'redis://us%er@one',
      'redis://one:port',
    ]
    for (const url of urls) expect(() => parseAddress(url)).toThrow(BackendError)
  })
})
