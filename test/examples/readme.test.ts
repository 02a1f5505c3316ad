import { expect, test } from 'bun:test'
import { program } from '../cli/process.ts'
import { blocksOf, looksLike } from './markdown.ts'

/** The address and what differs from one start to the next, in the README's words. */
function asInReadme(output: string): string {
  return output
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:3000')
    .replace(/eyJ[\w.-]+/g, 'eyJ…')
    .replace(/"c-[\w-]+"/g, '"c-5tT1hC0dQm3cGZbM2oDqSA"')
}

test('the first minute goes as the README tells it', async () => {
  const [start, printed, arrives] = blocksOf('README.md').filter(({ language }) => language !== 'dialogue')
  await using server = program(['sh', '-c', `exec ${start?.text}`], {
    TIDINGS_SERVER_PORT: '0',
    TIDINGS_STORE_PATH: ':memory:',
  })
  await server.printed(/Then say hello as bob[^\n]*\n.+\n/)
  expect(looksLike(asInReadme(server.output()), printed?.text ?? '')).toBe(true)

  const [listen = '', speak = ''] = server.output().match(/^\S.* -e '.+'$/gm) ?? []
  await using alice = program(['sh', '-c', `exec ${listen}`])
  await alice.printed(/"type":"welcome"/)
  await using bob = program(['sh', '-c', speak])
  expect(await bob.exitCode()).toBe(0)
  const frame = JSON.parse(asInReadme(await alice.printed(/^(.*"type":"chat".*)\n/m)))
  const shown = JSON.parse(arrives?.text ?? '')
  expect({ ...frame, id: shown.id, timestamp: shown.timestamp }).toEqual(shown)
  expect(alice.output()).toMatch(/welcome[\s\S]*user_joined_room[\s\S]*"chat"/)
})
