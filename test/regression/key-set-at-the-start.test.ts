import { expect, test } from 'bun:test'
import { tidingsProcess } from '../cli/process.ts'

// A stack trace of the server's own files, and no word of which setting named the file.
test('a key set that cannot be read stops the start with one line that names the setting', async () => {
  await using server = tidingsProcess([
    'serve',
    '--port=0',
    '--store.path=:memory:',
    '--auth.jwks=/nowhere/keys.json',
    '--log.level=error',
  ])
  expect(await server.exitCode()).toBe(1)
  expect(server.output()).toBe('tidings: auth.jwks cannot be read: no such file: /nowhere/keys.json\n')
})
