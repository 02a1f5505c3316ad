import { describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { startTestServer } from '../../src/testing/index.ts'

const ENTRY = join(import.meta.dir, '../../src/client/index.ts')

async function bundle(): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [ENTRY], target: 'browser', minify: true })
  const [output] = outputs
  if (output === undefined) throw new Error('nothing was built')
  return output.text()
}

describe('the bundle for browsers', () => {
  test('is under 10 KB compressed', async () => {
    expect(gzipSync(await bundle(), { level: 9 }).length).toBeLessThan(10 * 1024)
  })

  test('needs nothing else: no package, no MessagePack, no table of the server', async () => {
    const code = await bundle()
    expect(new Bun.Transpiler({ loader: 'js' }).scanImports(code)).toEqual([])
    for (const foreign of ['msgpack.', 'extension types', 'Max connections', 'process.env', 'Bun.']) {
      expect(code).not.toContain(foreign)
    }
  })
})

const node = Bun.which('node')

// Where there is no Node the rule cannot be tried.
test.skipIf(node === null)('the bundle works in Node, with its WebSocket', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-client-'))
  await using server = await startTestServer()
  try {
    await writeFile(join(folder, 'client.mjs'), await bundle())
    await writeFile(
      join(folder, 'main.mjs'),
      `import { TidingsClient } from './client.mjs'
       const [url, token] = process.argv.slice(2)
       const client = new TidingsClient({ url, token })
       await client.connect()
       const room = await client.join('lobby')
       console.log(client.transport, room.participantCount)
       client.close()`,
    )
    const address = `${server.url}/realtime`
    const flags = [String(node), '--experimental-websocket', '--no-warnings']
    const run = Bun.spawn([...flags, join(folder, 'main.mjs'), address, await server.token({ user: 'alice' })], {
      stderr: 'pipe',
    })
    expect(await new Response(run.stdout).text()).toBe('websocket 1\n')
    expect(await run.exited, await new Response(run.stderr).text()).toBe(0)
  } finally {
    await rm(folder, { recursive: true })
  }
})
