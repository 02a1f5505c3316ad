import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { TidingsError } from '../../src/protocol/errors.ts'
import { decodeJson, encodeJson } from '../../src/protocol/json.ts'
import { deep, keyed, LIMITS, wireValues } from './values.ts'

function refusal(text: string, limits = LIMITS): unknown {
  try {
    decodeJson(text, limits)
  } catch (error) {
    if (error instanceof TidingsError) return { error: error.errorName, details: error.details }
    throw error
  }
  return 'accepted'
}

describe('what stands on the wire', () => {
  test('bytes are an object whose single key is $bin, in padded base64', () => {
    expect(encodeJson({ b: new Uint8Array([0, 255, 62, 63]) })).toBe('{"b":{"$bin":"AP8+Pw=="}}')
    expect(encodeJson(new Uint8Array())).toBe('{"$bin":""}')
    expect(decodeJson('[{"$bin":"AP8+Pw=="},{"$bin":""}]', LIMITS)).toEqual([
      new Uint8Array([0, 255, 62, 63]),
      new Uint8Array(),
    ])
  })

  test('an object that has more keys than $bin is an object', () => {
    const value = { $bin: 'AA==', other: 1 }
    expect(decodeJson(JSON.stringify(value), LIMITS)).toEqual(value)
  })

  test('the key $bin means bytes however its letters are escaped', () => {
    expect(decodeJson('{"\\u0024b\\u0069n":"AA=="}', LIMITS)).toEqual(new Uint8Array([0]))
    expect(refusal('{"\\u0024bin":"not base64"}')).toMatchObject({ error: 'invalid_message' })
  })

  test.each([
    '"AA"',
    '"AA="',
    '"A==="',
    '"AA==AA=="',
    '"AA-_"',
    '" AA=="',
    '"AA==\\n"',
    '5',
    'null',
    '{"$bin":"AA=="}',
  ])('%s is not padded base64', (text) => {
    expect(refusal(`{"$bin":${text}}`)).toEqual({ error: 'invalid_message', details: { field: '$bin' } })
  })

  test('a date beside bytes is written as a date alone is', () => {
    const at = new Date(0)
    expect(encodeJson({ at })).toBe('{"at":"1970-01-01T00:00:00.000Z"}')
    expect(encodeJson({ at, b: new Uint8Array([1]) })).toBe('{"at":"1970-01-01T00:00:00.000Z","b":{"$bin":"AQ=="}}')
  })

  test('a Buffer, which has a JSON form of its own, is bytes', () => {
    expect(encodeJson({ b: Buffer.from([0, 255]) })).toBe('{"b":{"$bin":"AP8="}}')
    expect(encodeJson(Buffer.from([0, 255]))).toBe('{"$bin":"AP8="}')
  })

  test('bytes of a megabyte survive', () => {
    const bytes = Uint8Array.from({ length: 1 << 20 }, (_, index) => index * 7)
    expect(decodeJson(encodeJson({ bytes }), LIMITS)).toEqual({ bytes })
  })
})

describe('an attacker wants the parser, or whoever walks the result, to pay', () => {
  test('the last level that is allowed passes and the next is refused', () => {
    expect(refusal(deep(32))).toBe('accepted')
    expect(refusal(deep(33))).toEqual({ error: 'invalid_message', details: { field: 'frame', max_depth: 32 } })
    expect(refusal(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`)).toMatchObject({ details: { max_depth: 32 } })
  })

  test('depth is what is open at one time, not how many brackets there are', () => {
    expect(refusal(`[${'[],'.repeat(5000)}[]]`)).toBe('accepted')
  })

  test('with the limit off there is still a ceiling that recursion survives', () => {
    const off = { maxDepth: 0, maxKeys: 0 }
    expect(refusal(deep(1000), off)).toBe('accepted')
    expect(refusal(deep(1001), off)).toEqual({ error: 'invalid_message', details: { field: 'frame', max_depth: 1000 } })
    expect(refusal(deep(5_000_000), off)).toMatchObject({ details: { max_depth: 1000 } })
  })

  test('keys are counted over all objects, repeated ones too', () => {
    expect(refusal(keyed(1000))).toBe('accepted')
    expect(refusal(keyed(1001))).toEqual({ error: 'invalid_message', details: { field: 'frame', max_keys: 1000 } })
    expect(refusal(`[${'{"a":1},'.repeat(1000)}{"a":1}]`)).toMatchObject({ details: { max_keys: 1000 } })
    expect(refusal(`{${'"a":1,'.repeat(1000)}"a":1}`)).toMatchObject({ details: { max_keys: 1000 } })
    expect(refusal(keyed(5000), { maxDepth: 32, maxKeys: 0 })).toBe('accepted')
  })

  test('brackets, colons and quotes inside strings count for nothing', () => {
    const text = '[{":\\"\\\\'.repeat(200)
    expect(decodeJson(JSON.stringify({ text }), LIMITS)).toEqual({ text })
    expect(decodeJson(`["\\\\",${'['.repeat(31)}${']'.repeat(31)}]`, LIMITS)).toBeArray()
    expect(refusal(`["\\\\",${'['.repeat(32)}${']'.repeat(32)}]`)).toMatchObject({ details: { max_depth: 32 } })
  })

  test('a string of backslashes and quotes takes no longer than its length', () => {
    // Quadratic work over 4 MB would be hours, so that this test would not end.
    expect(refusal(`"${'\\'.repeat(2_000_000)}${'\\"'.repeat(1_000_000)}`)).toMatchObject({ error: 'invalid_message' })
  })

  test.each(['', ' ', '{', '"', '"\\', '{"a":}', 'undefined', 'NaN', ']', ']]]][[[[', '{}{}', '\ufeff{}', '{"a":1,}'])(
    '%j is refused as no JSON',
    (text) => {
      expect(refusal(text)).toEqual({ error: 'invalid_message', details: { field: 'frame' } })
    },
  )

  test('the refusal does not repeat the input', () => {
    try {
      decodeJson('{"password":"hunter2"', LIMITS)
      expect.unreachable()
    } catch (error) {
      expect(JSON.stringify((error as TidingsError).toBody())).not.toContain('hunter2')
    }
  })

  test('__proto__ and constructor are keys like others and pollute nothing', () => {
    const text = '{"__proto__":{"polluted":{"$bin":"AA=="}},"constructor":{"prototype":{"polluted":1}}}'
    const value = decodeJson(text, LIMITS) as object
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(encodeJson(value)).toBe(text)
    expect('polluted' in {}).toBe(false)
  })
})

describe('for every value', () => {
  test('what is encoded is decoded again', () => {
    fc.assert(fc.property(wireValues(), (value) => expect(decodeJson(encodeJson(value), LIMITS)).toEqual(value)))
  })

  test('a value without bytes is written as JSON.stringify writes it', () => {
    fc.assert(fc.property(fc.jsonValue(), (value) => expect(encodeJson(value)).toBe(JSON.stringify(value))))
  })

  test('any text is decoded as JSON.parse decodes it, or refused with an error that may be said to a client', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      ':',
      ',',
      '\\',
      '1',
      '-',
      'e9',
      'null',
      '$bin',
      '\\u0024',
      ' ',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(pieces).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, (input) => {
        let value: unknown
        try {
          value = decodeJson(input, LIMITS)
        } catch (error) {
          expect(error).toBeInstanceOf(TidingsError)
          return
        }
        expect(encodeJson(value)).toBe(JSON.stringify(JSON.parse(input)))
      }),
      { numRuns: 1000 },
    )
  })
})
