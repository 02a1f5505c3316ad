/**
 * What the documents show is true. Every fenced block is of a kind that can be tried:
 *
 *   dialogue         is played against a server; see dialogue.ts
 *   sh               is run; a `text` block right behind it is what it prints
 *   ts, toml, html, conf … FILE  stands in that file, which has tests of its own
 *   json             is JSON
 *   text             is not tried: a drawing, or what a test of its own compares
 */
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { ROOT } from '../cli/process.ts'
import { play } from './dialogue.ts'
import { type Block, blocksOf, DOCUMENTS } from './markdown.ts'
import { Reader } from './shell.ts'

/** A document's commands start several programs one after the other. */
const COMMANDS_TIMEOUT_MS = 60_000

/** The links of a document to other files of the repository, and to sections. */
function linksOf(file: string): { path: string; section: string | undefined }[] {
  const links = [...readFileSync(`${ROOT}${file}`, 'utf8').matchAll(/\]\(([^)#\s]*)(?:#([^)\s]+))?\)/g)]
  return links
    .filter(([, path = '']) => !/^https?:/.test(path))
    .map(([, path = '', section]) => ({ path: path === '' ? file : normalize(join(dirname(file), path)), section }))
}

/** The names that the headings of a document have in links. */
function sectionsOf(file: string): string[] {
  const headings = [...readFileSync(`${ROOT}${file}`, 'utf8').matchAll(/^#+ (.+)$/gm)]
  return headings.map(([, text = '']) =>
    text
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe.each(DOCUMENTS)('%s', (file) => {
  const blocks = blocksOf(file)
  const of = (...languages: string[]): Block[] => blocks.filter(({ language }) => languages.includes(language))

  test('has no block that nothing tries', () => {
    const known = ['dialogue', 'sh', 'ts', 'toml', 'html', 'conf', 'json', 'text']
    expect(blocks.filter(({ language }) => !known.includes(language)).map(({ at }) => at)).toEqual([])
  })

  test('links to what is there', () => {
    const broken = linksOf(file).filter(({ path, section }) => {
      if (!existsSync(`${ROOT}${path}`)) return true
      return section !== undefined && !sectionsOf(path).includes(section)
    })
    expect(broken).toEqual([])
  })

  for (const block of of('ts', 'toml', 'html', 'conf')) {
    test(`${block.at} stands in ${block.words[0]}`, () => {
      expect(readFileSync(`${ROOT}${block.words[0]}`, 'utf8')).toContain(block.text)
    })
  }

  for (const block of of('json')) {
    test(`${block.at} is JSON`, () => {
      expect(() => JSON.parse(block.text)).not.toThrow()
    })
  }

  for (const block of of('dialogue')) test(`${block.at} goes as it is told`, () => play(block))

  if (of('sh').length > 0) {
    test(
      'every command does what it says',
      async () => {
        await using reader = new Reader()
        for (const [index, block] of blocks.entries()) {
          if (block.language !== 'sh') continue
          const next = blocks[index + 1]
          await reader.run(block, next?.language === 'text' ? next.text : undefined)
        }
      },
      COMMANDS_TIMEOUT_MS,
    )
  }
})
