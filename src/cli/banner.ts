/** What a server in development says in the terminal: where it is, and two commands that show a message arrive. */

import { existsSync } from 'node:fs'
import { basename, relative } from 'node:path'
import type { Config } from '../config.ts'
import { VERSION } from '../version.ts'
import { isCompiled } from './executable.ts'
import { cannotSign, sign } from './sign.ts'

/** Seconds a development token is good: a working day and the evening after it. */
const TOKEN_SECONDS = 24 * 3600

/** The text of the banner. The tokens in it are for a terminal in development, never for a log. */
export async function banner(config: Config, url: string): Promise<string> {
  const lines = [`Tidings ${VERSION}, in development`, '', `  Address      ${url}`]
  if (config.web.start_page) lines.push(`  Start page   ${url}/`)
  const reason = cannotSign(config)
  if (reason !== undefined) return [...lines, '', `  No tokens to try it with: ${reason}.`, ''].join('\n')

  const alice = await sign(config, { user_id: 'alice' }, TOKEN_SECONDS)
  const bob = await sign(config, { user_id: 'bob' }, TOKEN_SECONDS)
  return [
    ...lines,
    '',
    `  Token of alice, good for a day:\n${alice}`,
    `  Token of bob:\n${bob}`,
    '',
    '  Listen as alice. Paste this into another terminal, in this folder:',
    inShell(listening(url, alice)),
    '',
    '  Then say hello as bob, from a third:',
    inShell(speaking(url, bob)),
    '',
  ].join('\n')
}

/** A program that joins the lobby and prints what arrives there. */
export function listening(url: string, token: string): string {
  return `new WebSocket("${socketUrl(url, token)}").onmessage = (m) => console.log(m.data)`
}

/** A program that says hello in the lobby, prints the answers, and ends when it was acknowledged. */
export function speaking(url: string, token: string): string {
  const frame = '{ type: "chat", id: "1", to: { room: "lobby" }, payload: { text: "hello" } }'
  return [
    `const s = new WebSocket("${socketUrl(url, token)}")`,
    `s.onopen = () => s.send(JSON.stringify(${frame}))`,
    's.onmessage = (m) => { console.log(m.data); if (/"type":"(ack|error)"/.test(m.data)) s.close() }',
  ].join('; ')
}

function socketUrl(url: string, token: string): string {
  return `${url.replace(/^http/, 'ws')}/realtime?rooms=lobby&token=${token}`
}

function inShell(program: string): string {
  return `${javascriptRuntime()} -e '${program}'`
}

/** What runs JavaScript on this machine for certain, as it is typed in this folder: whatever runs this. */
function javascriptRuntime(): string {
  if (isCompiled()) return `BUN_BE_BUN=1 ${typed(process.execPath)}`
  if (existsSync('node_modules/.bin/bun')) return 'node_modules/.bin/bun'
  return Bun.which('bun') ? basename('bun') : typed(process.execPath)
}

function typed(path: string): string {
  const near = relative(process.cwd(), path)
  const shown = near.startsWith('..') ? path : `./${near}`
  return /^[\w./@+-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`
}
