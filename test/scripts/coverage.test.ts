import { afterEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addUnloaded, countLines, percentOf, readLcov } from '../../scripts/coverage.ts'

const roots: string[] = []

afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true })
})

describe('line coverage', () => {
  test('a report is read file by file, and only what lies in src counts', () => {
    const report = 'SF:src/a.ts\nDA:1,3\nDA:2,0\nend_of_record\nSF:scripts/b.ts\nDA:1,1\nend_of_record\n'
    expect(readLcov(report)).toEqual([{ file: 'src/a.ts', lines: 2, hit: 1 }])
  })

  test('a file that nothing loaded counts with all of its lines, a file of types with none', () => {
    const root = mkdtempSync(join(tmpdir(), 'coverage-'))
    roots.push(root)
    mkdirSync(join(root, 'src'))
    writeFileSync(join(root, 'src/known.ts'), 'export const a = 1\n')
    writeFileSync(join(root, 'src/lost.ts'), 'export function lost(): number {\n  return 1\n}\n')
    writeFileSync(join(root, 'src/types.ts'), "import type { A } from './known.ts'\nexport interface B extends A {}\n")
    const known = { file: 'src/known.ts', lines: 1, hit: 1 }
    expect(addUnloaded(root, [known])).toEqual([known, { file: 'src/lost.ts', lines: 2, hit: 0 }])
  })

  test('comments, blanks, brackets and imports are not lines that run', () => {
    const source = "import { a } from './a.ts'\n\n/** says\n * much */\nexport const b = [\n  a, // one\n]\n"
    expect(countLines(source, 'ts')).toBe(2)
  })

  test('the share is of lines, not of files', () => {
    const files = [
      { file: 'src/a.ts', lines: 90, hit: 90 },
      { file: 'src/b.ts', lines: 10, hit: 0 },
    ]
    expect(percentOf(files)).toBe(90)
  })
})
