import { describe, expect, test } from 'bun:test'
import { decode, encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import { TidingsError } from '../../src/protocol/errors.ts'
import { decodeMsgpack, encodeMsgpack } from '../../src/protocol/msgpack.ts'
import { LIMITS, wireValues } from './values.ts'

function hex(value: unknown): string {
  return Buffer.from(encodeMsgpack(value)).toString('hex')
}

function read(bytes: string | Uint8Array, limits = LIMITS): unknown {
  return decodeMsgpack(typeof bytes === 'string' ? Uint8Array.fromHex(bytes.replaceAll(' ', '')) : bytes, limits)
}

function refusal(bytes: string | Uint8Array, limits = LIMITS): string {
  try {
    return `accepted ${JSON.stringify(read(bytes, limits))}`
  } catch (error) {
    if (!(error instanceof TidingsError)) throw error
    expect(error.toBody()).toMatchObject({ code: 'RT_004', error_code: 'invalid_message', details: { field: 'frame' } })
    return error.message
  }
}

describe('the bytes of what is written', () => {
  test.each<[unknown, string]>([
    [null, 'c0'],
    [false, 'c2'],
    [true, 'c3'],
    [0, '00'],
    [-0, '00'],
    [127, '7f'],
    [128, 'cc80'],
    [255, 'ccff'],
    [256, 'cd0100'],
    [65_535, 'cdffff'],
    [65_536, 'ce00010000'],
    [2 ** 32 - 1, 'ceffffffff'],
    [2 ** 32, 'cb41f0000000000000'],
    [Number.MAX_SAFE_INTEGER, 'cb433fffffffffffff'],
    [-1, 'ff'],
    [-32, 'e0'],
    [-33, 'd0df'],
    [-128, 'd080'],
    [-129, 'd1ff7f'],
    [-32_768, 'd18000'],
    [-32_769, 'd2ffff7fff'],
    [-(2 ** 31), 'd280000000'],
    [-(2 ** 31) - 1, 'cbc1e0000000200000'],
    [Number.MIN_SAFE_INTEGER, 'cbc33fffffffffffff'],
    [1.5, 'cb3ff8000000000000'],
    [2 ** 53, 'cb4340000000000000'],
    ['', 'a0'],
    ['a', 'a161'],
    ['é', 'a2c3a9'],
    ['😀', 'a4f09f9880'],
    ['\ufeff', 'a3efbbbf'],
    [[], '90'],
    [[1, [2]], '92019102'],
    [{}, '80'],
    [{ a: 1, b: [] }, '82a16101a16290'],
    [new Uint8Array(), 'c400'],
    [new Uint8Array([1, 255]), 'c40201ff'],
    [Buffer.from([1, 255]), 'c40201ff'],
  ])('%j is %s', (value, bytes) => {
    expect(hex(value)).toBe(bytes)
    expect(read(bytes)).toEqual(value instanceof Buffer ? new Uint8Array(value) : value === 0 ? 0 : value)
  })

  test.each<[string, unknown, string, number]>([
    ['31 characters', 'x'.repeat(31), 'bf', 32],
    ['32 characters', 'x'.repeat(32), 'd920', 34],
    ['255 characters', 'x'.repeat(255), 'd9ff', 257],
    ['256 characters', 'x'.repeat(256), 'da0100', 259],
    ['65,536 characters', 'x'.repeat(65_536), 'db00010000', 65_541],
    ['16 characters of two bytes', 'é'.repeat(16), 'd920', 34],
    ['256 bytes', new Uint8Array(256), 'c50100', 259],
    ['65,536 bytes', new Uint8Array(65_536), 'c600010000', 65_541],
    ['15 elements', Array(15).fill(1), '9f', 16],
    ['16 elements', Array(16).fill(1), 'dc0010', 19],
    ['65,536 elements', Array(65_536).fill(1), 'dd00010000', 65_541],
    ['15 keys', keys(15), '8f', 91],
    ['16 keys', keys(16), 'de0010', 99],
    ['65,536 keys', keys(65_536), 'df00010000', 393_221],
  ])('%s take the shortest header', (_, value, header, length) => {
    const bytes = encodeMsgpack(value)
    expect(Buffer.from(bytes.subarray(0, header.length / 2)).toString('hex')).toBe(header)
    expect(bytes.length).toBe(length)
    expect(decodeMsgpack(bytes, { maxDepth: 32, maxKeys: 0 })).toEqual(decode(bytes))
  })

  test('values that JSON lacks are written as JSON.stringify would have them', () => {
    const value = {
      undefined: undefined,
      function: () => 1,
      symbol: Symbol('s'),
      nan: Number.NaN,
      infinity: Number.POSITIVE_INFINITY,
      date: new Date(0),
      list: [undefined, () => 1, new Date(0)],
      map: new Map([['a', 1]]),
      custom: { toJSON: (key: string) => `json of ${key}` },
      gone: { toJSON: () => undefined },
    }
    const decoded: unknown = decode(encodeMsgpack(value))
    expect(decoded).toStrictEqual(JSON.parse(JSON.stringify(value)))
  })

  test('left out keys are not counted where the header is wide', () => {
    const value = { ...keys(16), gone: undefined }
    expect(decode(encodeMsgpack(value))).toStrictEqual(keys(16))
  })

  test('a bigint is an error of the program, as in JSON', () => {
    expect(() => encodeMsgpack({ n: 1n })).toThrow(TypeError)
    expect(hex({ ok: true })).toBe('81a26f6bc3')
  })

  test('a lone surrogate cannot make a frame that others cannot read', () => {
    for (const text of ['a\ud800b', '\udc00', '\ud800\ud800', `${'x'.repeat(60)}\udfff`]) {
      expect(decode(encodeMsgpack({ text }))).toEqual({ text: text.toWellFormed() })
    }
  })

  test('what was returned is not touched by what is encoded later', () => {
    const first = encodeMsgpack({ a: 'first' })
    const before = Buffer.from(first).toString('hex')
    encodeMsgpack({ b: 'x'.repeat(300_000) })
    encodeMsgpack({ c: 'second' })
    expect(Buffer.from(first).toString('hex')).toBe(before)
    expect(first.buffer.byteLength).toBe(first.length)
  })

  test('a toJSON that encodes something itself does not disturb the frame around it', () => {
    const value = { a: 1, inner: { toJSON: () => encodeMsgpack({ deep: true }).length }, b: 2 }
    expect(decode(encodeMsgpack(value))).toEqual({ a: 1, inner: 7, b: 2 })
  })
})

describe('odd MessagePack is refused before anything is allocated for it', () => {
  test.each([
    ['nothing', '', 'it ends early'],
    ['the byte that is never used', 'c1', 'extension types are not supported'],
    ['an extension of one byte, as record structures use', 'd4 72 40', 'extension types are not supported'],
    ['a timestamp', 'd6 ff 00000000', 'extension types are not supported'],
    ['an extension with a length', 'c7 01 01 00', 'extension types are not supported'],
    ['a number as a key', '81 01 01', 'a key is not a string'],
    ['bytes as a key', '81 c4 01 61 01', 'a key is not a string'],
    ['an array as a key', '81 90 01', 'a key is not a string'],
    ['nil as a key', '81 c0 01', 'a key is not a string'],
    ['NaN', 'cb 7ff8000000000000', 'a number is not finite'],
    ['infinity', 'ca 7f800000', 'a number is not finite'],
    ['2^53 as an integer', 'cf 0020000000000000', 'an integer is beyond 2^53'],
    ['the largest unsigned', 'cf ffffffffffffffff', 'an integer is beyond 2^53'],
    ['the smallest signed', 'd3 8000000000000000', 'an integer is beyond 2^53'],
    ['text that is no UTF-8', 'a1 ff', 'a string is not UTF-8'],
    ['a surrogate in UTF-8', 'a3 ed a0 80', 'a string is not UTF-8'],
    ['an overlong slash', 'a2 c0 af', 'a string is not UTF-8'],
    ['a long text that is no UTF-8', `d9 28 ${'61'.repeat(39)}ff`, 'a string is not UTF-8'],
    ['a key that is no UTF-8', '81 a1 ff 01', 'a string is not UTF-8'],
    ['a second value', '80 80', 'bytes follow the value'],
    ['an array of 4 billion', 'dd ffffffff', 'it ends early'],
    ['a map of 2 billion', 'df 7fffffff', 'The frame has more than 1000 keys'],
    ['bytes of 4 billion', 'c6 ffffffff 00', 'it ends early'],
    ['text of 4 billion', 'db ffffffff 00', 'it ends early'],
    ['a map without its last value', '81 a1 61', 'it ends early'],
    ['half a number', 'ce 0000', 'it ends early'],
    ['half a double', 'cb 00', 'it ends early'],
    ['half a length', 'da 00', 'it ends early'],
  ])('%s', (_, bytes, why) => {
    expect(refusal(bytes)).toEndWith(why)
  })

  test('the last level that is allowed passes and the next is refused', () => {
    expect(refusal(`${'91'.repeat(31)}90`)).toStartWith('accepted')
    expect(refusal(`${'91'.repeat(32)}90`)).toBe('The frame is nested deeper than 32 levels')
    expect(refusal(`${'81a161'.repeat(32)}80`)).toBe('The frame is nested deeper than 32 levels')
    const off = { maxDepth: 0, maxKeys: 0 }
    expect(refusal(`${'91'.repeat(999)}90`, off)).toStartWith('accepted')
    expect(refusal(new Uint8Array(60_000).fill(0x91), off)).toBe('The frame is nested deeper than 1000 levels')
  })

  test('keys are counted over all maps, repeated ones too', () => {
    expect(refusal(`dc03e8 ${'81a16101'.repeat(1000)}`)).toStartWith('accepted')
    expect(refusal(`dc03e9 ${'81a16101'.repeat(1001)}`)).toBe('The frame has more than 1000 keys')
    expect(refusal(`de03e9 ${'a16101'.repeat(1001)}`)).toBe('The frame has more than 1000 keys')
  })

  test('a repeated key has its last value, as in JSON', () => {
    expect(read('82 a161 01 a161 02')).toEqual({ a: 2 })
  })

  test('__proto__ and constructor are keys like others and pollute nothing', () => {
    const bytes = encode(JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'), {})
    const value = read(bytes) as object
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(encodeMsgpack(value)).toEqual(Uint8Array.from(bytes))
    expect('polluted' in {}).toBe(false)
  })

  test('decoded bytes do not keep the frame in memory, nor change with it', () => {
    const frame = Uint8Array.fromHex('81a162c40201ff')
    const { b } = read(frame) as { b: Uint8Array }
    frame.fill(0)
    expect(b).toEqual(new Uint8Array([1, 255]))
    expect(b.buffer.byteLength).toBe(2)
  })

  test('a frame in the middle of a larger buffer is read from where it starts', () => {
    const whole = Uint8Array.fromHex('ffff82a161cd0102a162c40107ffff')
    expect(read(whole.subarray(2, -2))).toEqual({ a: 258, b: new Uint8Array([7]) })
    expect(refusal(whole.subarray(2, -3))).toEndWith('it ends early')
  })
})

describe('for every value', () => {
  test('another implementation reads what is written here, and this one what is written there', () => {
    fc.assert(
      fc.property(wireValues(), (value) => {
        const bytes = encodeMsgpack(value)
        expect(withProto(() => decode(bytes))).toEqual(withProto(() => value))
        expect(decodeMsgpack(bytes, LIMITS)).toEqual(value)
        expect(decodeMsgpack(encode(value), LIMITS)).toEqual(value)
      }),
    )
  })

  test('any bytes are read as another implementation reads them, or refused with an error for the client', () => {
    // Mutated frames get further than noise does.
    const mutated = fc
      .tuple(wireValues(), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }), fc.nat())
      .map(([value, changes, cut]) => {
        const bytes = encodeMsgpack(value)
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte
        return cut % 4 === 0 ? bytes.subarray(0, cut % bytes.length) : bytes
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutated), (bytes) => {
        let value: unknown
        try {
          value = decodeMsgpack(Uint8Array.from(bytes), LIMITS)
        } catch (error) {
          expect(error).toBeInstanceOf(TidingsError)
          return
        }
        expect(withProto(() => value)).toEqual(withProto(() => decode(bytes)))
      }),
      { numRuns: 2000 },
    )
  })
})

/** A map of so many keys of four letters, each to the number 1: six bytes for each in MessagePack. */
function keys(count: number): Record<string, number> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [index.toString(36).padStart(4, '0'), 1]))
}

/** The independent decoder refuses the key `__proto__`: such values are compared elsewhere. */
function withProto(read: () => unknown): unknown {
  try {
    const value = read()
    return JSON.stringify(value)?.includes('"__proto__"') ? 'has __proto__' : value
  } catch (error) {
    if (String(error).includes('__proto__')) return 'has __proto__'
    throw error
  }
}
