import { describe, expect, test } from 'bun:test'
import { version } from '../../package.json'
import { tidings } from './support.ts'

test('the version names the commit', async () => {
  const { code, out } = await tidings(['--version'])
  expect([code, out]).toEqual([0, expect.stringMatching(/^tidings \d+\.\d+\.\d+ \(([0-9a-f]{12}|unknown)\)$/)])
  expect(out).toContain(version)
})

test.each([[['--help']], [['-h']], [['help']]])('%p lists the commands', async (args) => {
  const { code, out, err } = await tidings(args)
  expect([code, err]).toEqual([0, ''])
  for (const command of ['serve', 'token', 'check', 'health']) expect(out).toContain(`  ${command} `)
})

test('without a command, and with an unknown one, the usage goes to standard error', async () => {
  for (const args of [[], ['frobnicate'], ['constructor']]) {
    const { code, out, err } = await tidings(args)
    expect([code, out]).toEqual([2, ''])
    expect(err).toContain('Usage: tidings <command>')
  }
  expect((await tidings(['frobnicate'])).err).toStartWith('tidings: there is no command "frobnicate"')
})

describe.each(['serve', 'token', 'check', 'health'])('tidings %s', (command) => {
  test('--help tells its options and does nothing', async () => {
    for (const flag of ['--help', '-h']) {
      const { code, out, err } = await tidings([command, '--port', 'x', flag])
      expect([code, err]).toEqual([0, ''])
      expect(out).toStartWith(`Usage: tidings ${command}`)
      expect(out).toContain('--config FILE')
    }
  })

  test('refuses what it does not know, all of it at once', async () => {
    const { code, out, err } = await tidings([command, 'extra', '--frob=1', '-x', '--dev=yes', '--config'])
    expect([code, out]).toEqual([1, ''])
    expect(err.split('\n')).toEqual([
      `tidings: ${command === 'token' ? 6 : 5} problems with the settings`,
      '  extra: expected an option, found an argument',
      '  -x: expected a flag with two dashes, found one',
      '  --dev: expected no value, found one',
      '  --config: expected a value, found nothing',
      ...(command === 'token' ? ['  --user: expected a name, found nothing'] : []),
      '  --frob: expected a known key, found "frob"',
    ])
  })
})
