import { describe, expect, test } from 'bun:test'
import { silentLog } from '../../src/core/log.ts'
import { captured } from './lines.ts'

describe('a JSON line', () => {
  test('has level, time and event first, then the fields', () => {
    const { log, lines } = captured()
    log.info('connection_opened', {
      connection_id: 'c1',
      rooms: ['a'],
      ms: 1.5,
      ok: true,
      none: null,
      absent: undefined,
    })
    expect(lines).toEqual([
      '{"level":"info","time":"2030-01-01T00:00:00.123Z","event":"connection_opened","connection_id":"c1","rooms":["a"],"ms":1.5,"ok":true,"none":null}\n',
    ])
  })

  test('of a child carries its fields, under the line’s own', () => {
    const { log, lines } = captured()
    log.child({ connection_id: 'c1', user_id: 'alice' }).child({ room: 'lobby' }).warn('slow', { user_id: 'bob' })
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      connection_id: 'c1',
      user_id: 'bob',
      room: 'lobby',
      event: 'slow',
    })
  })

  test('of a child says each field once, whatever is given with it', () => {
    const { log, lines } = captured()
    const child = log.child({ worker: 2 })
    child.info('simple', { ms: 1 })
    child.info('covered', { worker: 3 })
    child.info('careful', { text: 'two words' })
    log.child({ text: 'two words' }).info('own')
    const head = (event: string) => `{"level":"info","time":"2030-01-01T00:00:00.123Z","event":"${event}"`
    expect(lines).toEqual([
      `${head('simple')},"worker":2,"ms":1}\n`,
      `${head('covered')},"worker":3}\n`,
      `${head('careful')},"worker":2,"text":"two words"}\n`,
      `${head('own')},"text":"two words"}\n`,
    ])
  })

  test('cannot be made to say another level, time or event', () => {
    const { log, lines } = captured()
    log.info('real', { level: 'error', time: 0, event: 'fake' })
    expect(lines[0]).toBe(
      '{"level":"info","time":"2030-01-01T00:00:00.123Z","event":"real","_level":"error","_time":0,"_event":"fake"}\n',
    )
  })
})

test('lines below the level are not written', () => {
  const written = (level: 'debug' | 'info' | 'warn' | 'error') => {
    const { log, lines } = captured({ level })
    log.debug('d')
    log.info('i')
    log.warn('w')
    log.error('e')
    return lines.map((line) => JSON.parse(line).event).join('')
  }
  expect((['debug', 'info', 'warn', 'error'] as const).map(written)).toEqual(['diwe', 'iwe', 'we', 'e'])
})

test('a pretty line is one line for people, without colours where no terminal is', () => {
  const { log, lines } = captured({ format: 'pretty' })
  log.warn('slow_consumer', {
    user_id: 'alice',
    message: 'two words\nlevel=error',
    nested: { a: 1 },
    esc: '\u001b[2J\u009b',
  })
  expect(lines).toEqual([
    '00:00:00.123 WARN  slow_consumer user_id=alice message="two words\\nlevel=error" nested={"a":1} esc="\\u001b[2J\\u009b"\n',
  ])
})

test('auto is JSON where the lines do not go to a terminal', () => {
  const { log, lines } = captured({ format: 'auto' })
  log.info('x')
  expect(JSON.parse(lines[0] ?? '').event).toBe('x')
})

/** Whoever can write into a log line can hide what they did, or make up what others did. */
describe('every hostile value gives one line that parses', () => {
  const cyclic: Record<string, unknown> = { name: 'cyclic' }
  cyclic.self = cyclic
  cyclic.list = [cyclic, { again: cyclic }]
  const getter = Object.defineProperty({ fine: 1 }, 'bad', {
    enumerable: true,
    get() {
      throw new Error('getter')
    },
  })
  const proxy = new Proxy(
    {},
    {
      ownKeys() {
        throw new Error('ownKeys')
      },
      get() {
        throw new Error('get')
      },
      getPrototypeOf() {
        throw new Error('getPrototypeOf')
      },
    },
  )
  const revoked = Proxy.revocable([], {})
  revoked.revoke()
  let deep: unknown = 'bottom'
  for (let i = 0; i < 100_000; i++) deep = { deep }
  const badError = Object.assign(new Error('x'), { code: 'E' })
  Object.defineProperty(badError, 'message', {
    get() {
      throw new Error('message')
    },
  })
  const errorInCircle = new Error('circle')
  errorInCircle.cause = errorInCircle

  const values: Record<string, unknown> = {
    'line breaks': 'a\n{"level":"error","event":"fake"}\r\n\u2028\u2029\u0085',
    'control characters': Array.from({ length: 160 }, (_, i) => String.fromCharCode(i)).join(''),
    'lone surrogates': '\ud800 \udc00 x\ud83d',
    'text turned round': '\u202eexe.gpj\u2066',
    'a megabyte of text': 'x'.repeat(1_000_000),
    'a megabyte of quotes': '"\\'.repeat(500_000),
    'text cut within a surrogate pair': `${'x'.repeat(1023)}😀😀`,
    'a cycle': cyclic,
    'a getter that throws': getter,
    'a proxy that throws': proxy,
    'a revoked proxy': revoked.proxy,
    'a toJSON that throws': {
      toJSON() {
        throw new Error('toJSON')
      },
    },
    'a very deep object': deep,
    'a very wide object': Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])),
    'very many secrets': Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}_token`, 'x'])),
    'a very long list': Array.from({ length: 100_000 }, (_, i) => i),
    'an object of long keys': { ['k'.repeat(100_000)]: 1, 'a\nb': 2 },
    'an object without a prototype': Object.assign(Object.create(null), { a: 1 }),
    'keys that every object has': JSON.parse('{"__proto__":{"x":1},"constructor":1,"toString":2}'),
    'odd numbers': [Number.NaN, Number.POSITIVE_INFINITY, -0, 2n ** 64n],
    'a symbol and a function': [Symbol('s'), () => 1, undefined],
    bytes: [new Uint8Array(1_000_000), new ArrayBuffer(8)],
    'collections and dates': [new Map([[1, 2]]), new Set([1]), new Date(Number.NaN), new Date(0)],
    'an error': new Error('bad\nthing', { cause: new TypeError('why') }),
    'an error that is its own cause': errorInCircle,
    'an error that throws': badError,
  }

  for (const [name, value] of Object.entries(values)) {
    for (const format of ['json', 'pretty'] as const) {
      test(`${name}, ${format}`, () => {
        const { log, lines } = captured({ format })
        log.info('hostile', { value, after: 'still here' })
        log.child({ value }).error(String(name), { ok: true })
        expect(lines).toHaveLength(2)
        for (const line of lines) {
          expect(line.length).toBeLessThan(20_000)
          expect(line.endsWith('\n')).toBe(true)
          // biome-ignore lint/suspicious/noControlCharactersInRegex: none of these may reach a terminal or a line reader.
          expect(line.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/)
          expect(line.isWellFormed()).toBe(true)
        }
        if (format === 'json') {
          expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'info', event: 'hostile', after: 'still here' })
          expect(JSON.parse(lines[1] ?? '')).toMatchObject({ level: 'error', ok: true })
        }
      })
    }
  }

  test('as the fields themselves too', () => {
    const { log, lines } = captured()
    for (const fields of [cyclic, getter, proxy, values['keys that every object has']]) {
      log.info('x'.repeat(10_000), fields as Record<string, unknown>)
    }
    // Also where an event is short enough for the short way.
    log.child({ worker: 1 }).info('x', getter)
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(Array(5).fill('info'))
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ fine: 1, bad: '[threw]' })
    expect(Object.entries(JSON.parse(lines[3] ?? ''))).toContainEqual(['__proto__', { x: 1 }])
  })

  test('and what was cut says so', () => {
    const { log, lines } = captured()
    log.info('x', { text: 'x'.repeat(5000), cyclic })
    const line = JSON.parse(lines[0] ?? '')
    expect(line.text).toBe(`${'x'.repeat(1024)}… (5000 characters)`)
    expect(line.cyclic).toEqual({ name: 'cyclic', self: '[circular]', list: ['[circular]', { again: '[circular]' }] })
  })

  test('values nested deeper than four are left out', () => {
    const { log, lines } = captured()
    log.info('x', { a: { b: { c: { d: { e: { f: 1 } } } } } })
    expect(JSON.parse(lines[0] ?? '').a).toEqual({ b: { c: { d: { e: '[nested too deep]' } } } })
  })

  test('an error tells name, message, stack, code and cause', () => {
    const { log, lines } = captured()
    log.error('failed', { error: Object.assign(new TypeError('no', { cause: 'because' }), { code: 'ENOENT' }) })
    const { error } = JSON.parse(lines[0] ?? '')
    expect(error).toMatchObject({ name: 'TypeError', message: 'no', code: 'ENOENT', cause: 'because' })
    expect(error.stack).toContain('log.test.ts')
  })
})

test('the silent log takes everything and is its own child', () => {
  expect(silentLog.child({ a: 1 })).toBe(silentLog)
  expect([silentLog.debug('x'), silentLog.info('x'), silentLog.warn('x'), silentLog.error('x')]).toEqual(
    Array(4).fill(undefined),
  )
})
