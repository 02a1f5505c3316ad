/** The fenced blocks of a Markdown file: what its readers copy. */
import { readFileSync } from 'node:fs'
import { ROOT } from '../cli/process.ts'

export interface Block {
  /** The first word behind the fence. */
  readonly language: string
  /** The words after it. */
  readonly words: readonly string[]
  readonly text: string
  /** `docs/websocket.md:12`, where it begins. */
  readonly at: string
}

export function blocksOf(file: string): Block[] {
  const blocks: Block[] = []
  let open: { info: string; at: string; lines: string[] } | undefined
  for (const [index, line] of readFileSync(`${ROOT}${file}`, 'utf8').split('\n').entries()) {
    const fence = /^```(.*)$/.exec(line)
    if (fence === null) open?.lines.push(line)
    else if (open === undefined) open = { info: fence[1] ?? '', at: `${file}:${index + 1}`, lines: [] }
    else {
      const [language = '', ...words] = open.info.trim().split(/\s+/)
      blocks.push({ language, words, text: open.lines.join('\n'), at: open.at })
      open = undefined
    }
  }
  if (open !== undefined) throw new Error(`${open.at}: the block does not end`)
  return blocks
}

/** The documents that are written by hand: every block in them is tried. */
export const DOCUMENTS = ['README.md', ...new Bun.Glob('docs/*.md').scanSync(ROOT)]
  // The first is the output of a command, the second of measurements.
  .filter((file) => !['docs/configuration.md', 'docs/benchmarks.md'].includes(file))
  .sort()

/** Whether a text is what a document shows: `…` stands for any run of characters, alone on a line for any lines. */
export function looksLike(actual: string, shown: string): boolean {
  const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const lines = shown.trim().split('\n')
  const pattern = lines.map((line) => {
    if (line.trim() === '…') return '(?:.*\\n)*?'
    return `${line.trimEnd().split('…').map(literally).join('.*')}[ \\t]*\\n`
  })
  return new RegExp(`^${pattern.join('')}$`).test(`${actual.trim()}\n`)
}
