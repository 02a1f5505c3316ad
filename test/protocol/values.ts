/** What the codec tests are fed with. */
import fc from 'fast-check'

/** The limits that a server has when nothing is configured. */
export const LIMITS = { maxDepth: 32, maxKeys: 1000 }

/** An array in an array in an array …: JSON text of so many levels. */
export function deep(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

/** JSON text of one object with so many keys. */
export function keyed(keys: number): string {
  return JSON.stringify(Object.fromEntries(Array.from({ length: keys }, (_, index) => [`k${index}`, index])))
}

/**
 * Values that every format can say: JSON and bytes. Left out are negative zero, which JSON writes as zero, lone surrogates,
 * which UTF-8 lacks, and an object whose single key is `$bin`, which JSON reads as bytes.
 */
export function wireValues(): fc.Arbitrary<unknown> {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom('__proto__', 'constructor', '\ufeffx', '\u2028', '😀'),
  )
  const number = fc.oneof(
    fc.maxSafeInteger(),
    fc.integer({ min: -300, max: 300 }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(
      127,
      128,
      255,
      256,
      65_535,
      65_536,
      2 ** 32 - 1,
      2 ** 32,
      -32,
      -33,
      -128,
      -129,
      -32_769,
      -(2 ** 31) - 1,
    ),
  )
  const leaf = fc.oneof(
    text,
    number.map((value) => value + 0),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array().map((bytes) => new Uint8Array(bytes)),
  )
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 20 }),
      fc.array(fc.tuple(text, tie('tree')), { maxLength: 20 }).map((entries) => Object.fromEntries(entries)),
    ),
  }))
  return tree
}
