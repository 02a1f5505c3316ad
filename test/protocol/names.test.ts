import { describe, expect, test } from 'bun:test'
import { compilePattern, isIdentifier } from '../../src/protocol/names.ts'

/** The textbook definition, slow and obvious: a star takes nothing, or one character and goes on. */
function matchesSlowly(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  if (pattern[0] === '*')
    return matchesSlowly(pattern.slice(1), name) || (name !== '' && matchesSlowly(pattern, name.slice(1)))
  return name !== '' && pattern[0] === name[0] && matchesSlowly(pattern.slice(1), name.slice(1))
}

function* wordsOver(alphabet: string, longest: number): Generator<string> {
  let words = ['']
  for (let length = 0; length <= longest; length++) {
    yield* words
    words = words.flatMap((word) => [...alphabet].map((letter) => word + letter))
  }
}

describe('compilePattern', () => {
  test('agrees with the definition on every pattern of up to five and every name of up to five characters', () => {
    const names = [...wordsOver('ab', 5)]
    const differences: string[] = []
    for (const pattern of wordsOver('ab*', 5)) {
      const matches = compilePattern(pattern)
      for (const name of names) {
        if (matches(name) !== matchesSlowly(pattern, name)) differences.push(`${pattern} ${name}`)
      }
    }
    expect(differences).toEqual([])
  })

  test('takes every character but the star literally', () => {
    expect(compilePattern('a.c')('abc')).toBe(false)
    expect(compilePattern('protocol:*')('protocol:7')).toBe(true)
    expect(compilePattern('[a]*')('[a]\n')).toBe(true)
    expect(compilePattern('[a]*')('a')).toBe(false)
  })

  test('does not let the two ends of a name share a character', () => {
    expect(compilePattern('aba*aba')('ababa')).toBe(false)
    expect(compilePattern('aba*aba')('abaaba')).toBe(true)
  })

  test('answers a pattern of stars without going back over the name', () => {
    // With a regular expression of as many `.*` this does not end within anybody's lifetime.
    expect(compilePattern(`${'*a'.repeat(60)}*b`)('a'.repeat(128))).toBe(false)
  })
})

describe('isIdentifier', () => {
  test.each(['a', 'alice@example.com', 'urn:uuid:1', '{}/ \u00a0', '名前', '😀', 'x'.repeat(256)])('takes %j', (id) => {
    expect(isIdentifier(id)).toBe(true)
  })

  // What two names are in memory must be two in a topic and in the store, which are UTF-8.
  test.each(['\ud83d', '\ude00', '\ude00\ud83d', 'a\ud800'])('refuses %j, half of a character', (id) => {
    expect(isIdentifier(id)).toBe(false)
  })

  test.each(['', '\u0000', 'a\u001fb', '\u007f', 'a\u009f', '\n', 'x'.repeat(257), 5, null, undefined, {}])(
    'refuses %j',
    (id) => {
      expect(isIdentifier(id)).toBe(false)
    },
  )
})
