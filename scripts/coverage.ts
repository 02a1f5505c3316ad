/** Line coverage of `src/`, in which a file that no test ever loaded counts with all of its lines. */
import { readFileSync } from 'node:fs'

/** The least share of lines that tests must run, in percent. */
export const COVERAGE_THRESHOLD = 90

export interface FileCoverage {
  readonly file: string
  readonly lines: number
  readonly hit: number
}

/** Reads an lcov report; files outside of `src/` are left out. */
export function readLcov(text: string): FileCoverage[] {
  const files: FileCoverage[] = []
  for (const record of text.split('end_of_record')) {
    const file = /^SF:(.*)$/m.exec(record)?.[1]
    if (!file?.startsWith('src/')) continue
    const counts = [...record.matchAll(/^DA:\d+,(\d+)/gm)].map(([, count]) => Number(count))
    files.push({ file, lines: counts.length, hit: counts.filter((count) => count > 0).length })
  }
  return files
}

/** Lines that would run: what is left without types, comments and blanks. A file of types alone has none. */
export function countLines(source: string, loader: 'ts' | 'tsx'): number {
  const code = new Bun.Transpiler({ loader }).transformSync(source)
  return code.split('\n').filter((line) => /[^\s{}()[\];,]/.test(line) && !/^(import|export) [^(]*from /.test(line))
    .length
}

/** Adds the files under `<root>/src` that the report does not know. */
export function addUnloaded(root: string, loaded: readonly FileCoverage[]): FileCoverage[] {
  const known = new Set(loaded.map(({ file }) => file))
  const unloaded: FileCoverage[] = []
  for (const path of [...new Bun.Glob('src/**/*.{ts,tsx}').scanSync(root)].sort()) {
    if (known.has(path) || path.endsWith('.d.ts')) continue
    const lines = countLines(readFileSync(`${root}/${path}`, 'utf8'), path.endsWith('x') ? 'tsx' : 'ts')
    if (lines > 0) unloaded.push({ file: path, lines, hit: 0 })
  }
  return [...loaded, ...unloaded]
}

/** Percent of all lines that ran; 100 for no lines at all. */
export function percentOf(files: readonly FileCoverage[]): number {
  const lines = files.reduce((sum, file) => sum + file.lines, 0)
  const hit = files.reduce((sum, file) => sum + file.hit, 0)
  return lines === 0 ? 100 : (100 * hit) / lines
}
