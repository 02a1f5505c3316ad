import { describe, expect, test } from 'bun:test'
import { issueToken } from '../../src/auth/issue.ts'
import { redact } from '../../src/telemetry/redact.ts'
import { captured } from './lines.ts'

const SECRET = 'a secret of the tests, which is long enough'
const JWT = await issueToken(SECRET, { sub: 'canary' }, 3600)
const [HEADER = '', PAYLOAD = '', SIGNATURE = ''] = JWT.split('.')

describe('a credential is in no line', () => {
  const fields: Record<string, Record<string, unknown>> = {
    'as a field': { token: JWT },
    'in a list of tokens': { tokens: [JWT, 'opaque-canary'] },
    'as a field in an object': { payload: { refresh_token: 'opaque-canary' } },
    'as a header': {
      headers: { Authorization: 'Basic canary', Cookie: 's=canary', 'set-cookie': 'canary', 'x-api-key': 'canary' },
    },
    'as a ticket': { ticket: 'canary' },
    'as a secret': { secret: 'canary', previous_secrets: ['canary'], clientSecret: 'canary', password: 'canary' },
    'as an object under such a name': { token: { raw: 'canary' } },
    'in a URL': { url: `/realtime?rooms=a&token=${JWT}&x=1` },
    'as an opaque token in a URL': { url: 'wss://host/realtime?token=canary' },
    'as a ticket in a URL': { url: '/realtime?a=1&ticket=canary#top' },
    'in a URL within a URL': { url: '/login?next=%2Frealtime%3Ftoken%3Dcanary' },
    'in a sentence': { message: `cannot verify ${JWT}: bad` },
    'glued to other text': { message: `x${JWT}` },
    'in a subprotocol': { message: `tidings.v1.json, token.${JWT}` },
    'as an opaque token in a subprotocol': { protocol: 'token.canary-canary-canary' },
    'behind its scheme': { message: 'Authorization: Bearer canary' },
    'in JSON as text': { frame: '{"type":"refresh_token","payload":{"token":"canary"}}' },
    'in the name of a field': { [`x?token=${JWT}`]: 1 },
    'in an error': { error: new Error(`bad ${JWT}`, { cause: new Error(`/realtime?ticket=canary`) }) },
    'cut off in its payload': { message: 'x'.repeat(1024 - HEADER.length - 10) + JWT },
  }
  for (const [name, value] of Object.entries(fields)) {
    for (const format of ['json', 'pretty'] as const) {
      test(`${name}, ${format}`, () => {
        const { log, lines } = captured({ format })
        log.info('x', value)
        log.child(value).info('x')
        for (const line of lines) {
          expect(line).not.toContain('canary')
          expect(line).not.toContain(SIGNATURE)
          expect(line).not.toContain(PAYLOAD.slice(0, 8))
          expect(line).toContain('[redacted]')
        }
      })
    }
  }

  test('not in the event either', () => {
    const { log, lines } = captured()
    log.info(`x ${JWT}`)
    expect(lines[0]).toContain('"event":"x [redacted]"')
  })
})

test('what is no credential stays readable', () => {
  const texts = [
    '/realtime?rooms=a,b&cursor=1763600000123456&format=json',
    'token_expired',
    'the token is not valid',
    'https://eyewear.example.com/eyes.html',
    'tidings.v1.msgpack',
    'user@example.com',
    '2001:db8::1',
    'src/auth/verify.ts:12:34',
  ]
  expect(texts.map(redact)).toEqual(texts)
  const { log, lines } = captured()
  log.info('x', { token_id: 't-1', tokens: 3, token: true, secret: null })
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ token_id: 't-1', tokens: 3, token: true, secret: null })
})
