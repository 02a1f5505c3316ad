/** `tidings token`: tokens for trying things out, and secrets. */

import { newSecret, parseDuration } from '../config.ts'
import { type Arguments, CONFIG_OPTIONS, parseArguments } from './arguments.ts'
import { CONFIG_HELP, settings } from './settings.ts'
import { cannotSign, sign } from './sign.ts'
import type { Command } from './terminal.ts'

const DEFAULT_EXPIRY = '1h'

export const token: Command = {
  help: `Usage: tidings token --user NAME [options]
       tidings token --new-secret

Prints a token, signed with auth.secret of the configuration: for trying things out. In production your own backend issues them.

  --user NAME               whose token it is (user_id)
  --device NAME             the device (device_id); without it the client may choose
  --role NAME               a role, for room rules and the admin routes
  --rooms A,B               the rooms or patterns it is narrowed to
  --claim NAME=VALUE        any other claim, several times if need be; the value is JSON or a text
  --expires DURATION        how long it is good, for example 30m or 7d (${DEFAULT_EXPIRY})
  --new-secret              print a random secret for auth.secret instead
${CONFIG_HELP}`,

  async run(args, terminal) {
    const given = parseArguments(args, {
      ...CONFIG_OPTIONS,
      ...{ user: 'text', device: 'text', role: 'text', rooms: 'text', claim: 'texts', expires: 'text' },
      'new-secret': 'switch',
    })
    if (given.has('new-secret') && given.problems.length === 0) {
      terminal.out(newSecret())
      return 0
    }
    const problems: string[] = []
    const claims = claimsOf(given, problems)
    const expires = parseDuration(given.text('expires') ?? DEFAULT_EXPIRY)
    if (!expires) problems.push('--expires: expected a duration with a unit, such as 30m, 1h or 7d')
    const loaded = settings({ ...given, problems: [...given.problems, ...problems] }, terminal, { keysOptional: true })
    if (!loaded || !expires) return 1

    const reason = loaded.secretGenerated ? NO_SHARED_SECRET : cannotSign(loaded.config)
    if (reason !== undefined) {
      terminal.err(`tidings: ${reason}`)
      return 1
    }
    terminal.out(await sign(loaded.config, claims, expires / 1000))
    return 0
  },
}

const NO_SHARED_SECRET = `there is no auth.secret to sign with
  Without one, a server in development makes its own at every start and prints tokens that are signed with it.
  To sign here, give the server and this command the same one: export TIDINGS_AUTH_SECRET=$(tidings token --new-secret)`

function claimsOf(given: Arguments, problems: string[]): Record<string, unknown> {
  const claims: Record<string, unknown> = {}
  for (const claim of given.texts('claim')) {
    const [name = '', ...value] = claim.split('=')
    if (name === '' || value.length === 0) problems.push('--claim: expected NAME=VALUE')
    else claims[name] = jsonOrText(value.join('='))
  }
  const user = given.text('user')
  const device = given.text('device')
  const role = given.text('role')
  const rooms = given.text('rooms')
  if (user) claims.user_id = user
  else if (claims.user_id === undefined && claims.sub === undefined)
    problems.push('--user: expected a name, found nothing')
  if (device) claims.device_id = device
  if (role) claims.role = role
  if (rooms !== undefined) claims.rooms = rooms.split(',').flatMap((room) => room.trim() || [])
  return claims
}

function jsonOrText(value: string): unknown {
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}
