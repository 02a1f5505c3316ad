import { expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisServer } from '../kit/redis.ts'

setDefaultTimeout(60_000)

const ENTRY = join(import.meta.dir, '../../src/main.ts')

function openssl(folder: string, ...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(['openssl', ...args], { cwd: folder })
  if (exitCode !== 0) throw new Error(`openssl ${args[0]} failed: ${stderr.toString()}`)
}

/** An authority of the test's own, and a certificate of it for this machine. */
function makeCertificates(folder: string): void {
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl(
    folder,
    'req',
    '-x509',
    ...fresh,
    '-keyout',
    'ca.key',
    '-out',
    'ca.crt',
    '-days',
    '2',
    '-subj',
    '/CN=authority',
  )
  openssl(folder, 'req', ...fresh, '-keyout', 'redis.key', '-out', 'redis.csr', '-subj', '/CN=localhost')
  writeFileSync(join(folder, 'names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  const signed = ['-req', '-in', 'redis.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2']
  openssl(folder, 'x509', ...signed, '-out', 'redis.crt', '-extfile', 'names')
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

/** What a server says first that is told to use this Redis. */
async function firstLine(url: string, env: Record<string, string>): Promise<string> {
  const args = ['--port=0', '--log.format=json', `--redis.url=${url}`]
  const server = Bun.spawn([process.execPath, ENTRY, 'serve', '--dev', ...args], {
    env: { ...process.env, ...env },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  let text = ''
  for await (const chunk of server.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk
    if (/server_started|redis_disconnected/.test(text)) break
  }
  server.kill('SIGKILL')
  await server.exited
  return text
}

// Whom a certificate is of is checked: an instance gives what it stores to nobody else.
test('a Redis with TLS is used where its certificate is of an authority that is known, and not where it is not', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-tls-'))
  try {
    makeCertificates(folder)
    const port = await freePort()
    const files = ['cert', 'key', 'ca-cert'].flatMap((kind) => [
      `--tls-${kind}-file`,
      join(folder, kind === 'cert' ? 'redis.crt' : kind === 'key' ? 'redis.key' : 'ca.crt'),
    ])
    await using _redis = await RedisServer.start({
      args: ['--tls-port', `${port}`, '--tls-auth-clients', 'no', ...files],
    })
    const url = `rediss://localhost:${port}`
    expect(await firstLine(url, { NODE_EXTRA_CA_CERTS: join(folder, 'ca.crt') })).toContain('server_started')
    expect(await firstLine(url, {})).toContain('self signed certificate')
  } finally {
    rmSync(folder, { recursive: true })
  }
})
