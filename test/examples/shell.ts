/**
 * Runs the command blocks of a document in their order, as a reader would: in a folder with the repository's files, with
 * `tidings` on the path. A block that starts a server leaves it running for the blocks after it, until the next server.
 * Servers take a free port; where a block names port 3000, it means that one.
 */
import { mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { program, ROOT } from '../cli/process.ts'
import { type Block, looksLike } from './markdown.ts'

/** The last command of a block that goes on until it is stopped. */
const SERVER =
  /(?:^|[\s/])(?:scripts\/start|tidings serve(?!.*--print-config)|bun examples\/(?:elysia|library)\.ts)\b.*$/
const NAMED_ADDRESS = /(?:127\.0\.0\.1|localhost):3000/g

export class Reader {
  readonly folder = mkdtempSync(join(tmpdir(), 'tidings-docs-'))
  private server: ReturnType<typeof program> | undefined
  private address = '127.0.0.1:3000'

  constructor() {
    for (const name of readdirSync(ROOT)) {
      if (!['data', '.git', 'coverage'].includes(name)) symlinkSync(join(ROOT, name), join(this.folder, name))
    }
    const bun = join(ROOT, 'node_modules/.bin/bun')
    const own = `#!/bin/sh\nexec '${bun}' '${ROOT}src/main.ts' "$@"\n`
    writeFileSync(join(this.folder, '.tidings'), own, { mode: 0o755 })
    symlinkSync('.tidings', join(this.folder, 'tidings'))
    writeFileSync(this.exported, '')
  }

  /** Runs a block, which must succeed; `shown` is what the document says that it prints. */
  async run(block: Block, shown: string | undefined): Promise<void> {
    const serves = SERVER.test(block.text.trim())
    if (serves) await this.stopServer()
    const text = block.text.replace(NAMED_ADDRESS, this.address)
    // Replaced by the server, so that what is stopped is the server and not a shell before it.
    const script = serves ? text.replace(/^.*$(?![\s\S])/m, 'exec env $&') : `${text}\nexport -p > '${this.exported}'`
    const address = serves ? 'PORT=0 TIDINGS_SERVER_PORT=0' : `REALTIME_URL=ws://${this.address}/realtime`
    const before = `cd '${this.folder}'\n. '${this.exported}'\nexport ${address}\nset -eu`
    const running = program(['sh', '-c', `${before}\n${script}`], { PATH: `${this.folder}:${process.env.PATH}` })
    if (serves) {
      this.server = running
      this.address = await running.printed(/https?:\/\/((?:127\.0\.0\.1|localhost):[1-9]\d+)/)
      return
    }
    const code = await running.exitCode()
    const output = running.output()
    if (code !== 0) throw new Error(`${block.at}: exit code ${code}\n${output}`)
    const expected = shown?.replace(NAMED_ADDRESS, this.address)
    if (expected !== undefined && !looksLike(output, expected)) {
      throw new Error(`${block.at}: shown\n${expected}\nprinted\n${output}`)
    }
  }

  async [Symbol.asyncDispose]() {
    await this.stopServer()
    rmSync(this.folder, { recursive: true })
  }

  /** What blocks have exported: a reader stays in one terminal, or types it again. */
  private get exported(): string {
    return join(this.folder, '.exported')
  }

  private async stopServer(): Promise<void> {
    const server = this.server
    this.server = undefined
    if (server === undefined) return
    server.child.kill('SIGTERM')
    await server[Symbol.asyncDispose]()
  }
}
