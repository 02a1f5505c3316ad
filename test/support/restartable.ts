import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigInput, newSecret } from '../../src/config.ts'
import { testConfig } from '../../src/testing/server.ts'
import { tokenFor, type Who } from '../../src/testing/tokens.ts'
import { program } from '../cli/process.ts'

/**
 * A server process that can be killed without a word and started again at the same address, with the same store and secret.
 * @param command how to start it: from its source, or the binary.
 */
export async function restartable(command: readonly string[], config: ConfigInput = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-restart-'))
  const secret = newSecret()
  const settings = testConfig({
    ...config,
    auth: { secret },
    store: { path: join(folder, 'tidings.db'), ...config.store },
  })
  const file = join(folder, 'settings.json')
  writeFileSync(file, JSON.stringify(settings))
  const start = async (port: number) => {
    const server = program([...command, 'serve', `--config=${file}`, `--port=${port}`], { TIDINGS_LOG_FORMAT: 'json' })
    return { server, url: await server.printed(/"event":"server_started".*?"url":"([^"]+)"/) }
  }
  let { server, url } = await start(0)
  return {
    url,
    token: (who: Who) => tokenFor(secret, who),
    /** SIGKILL: nothing is said, nothing is written any more. */
    kill: () => server[Symbol.asyncDispose](),
    async start(): Promise<void> {
      ;({ server, url } = await start(Number(new URL(url).port)))
    },
    output: () => server.output(),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
