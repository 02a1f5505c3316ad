import { describe, expect, test } from 'bun:test'
import { originAllowed } from '../../src/auth/origin.ts'

describe('without a list, a page may talk to the host it came from', () => {
  const allowed: [origin: string | null, host: string | null][] = [
    [null, 'app.example'],
    [null, null],
    ['https://app.example', 'app.example'],
    ['https://app.example', 'app.example:443'],
    ['http://app.example:80', 'app.example'],
    ['http://localhost:3000', 'localhost:3000'],
    ['https://APP.example', 'app.EXAMPLE'],
    ['http://[::1]:3000', '[::1]:3000'],
    ['http://my_service:8080', 'my_service:8080'],
  ]
  for (const [origin, host] of allowed) {
    test(`${origin} on ${host}`, () => expect(originAllowed(origin, host, [])).toBe(true))
  }

  /** Cross-site WebSocket hijacking: what a page elsewhere may try to look like. */
  const refused: [origin: string, host: string | null][] = [
    ['https://evil.example', 'app.example'],
    ['null', 'app.example'],
    ['', 'app.example'],
    ['https://app.example', null],
    ['https://app.example', ''],
    ['https://app.example:8443', 'app.example'],
    ['https://app.example', 'app.example:3000'],
    ['http://app.example', 'app.example:443'],
    ['https://app.example.evil.example', 'app.example'],
    ['https://evilapp.example', 'app.example'],
    ['https://sub.app.example', 'app.example'],
    ['https://app.example.', 'app.example'],
    ['https://app.example@evil.example', 'app.example'],
    ['https://evil.example@app.example', 'app.example'],
    ['https://app.example:443@evil.example', 'app.example'],
    ['https://app.example/', 'app.example'],
    ['https://app.example?x', 'app.example'],
    ['https://app.example#x', 'app.example'],
    ['https://app.example\\evil.example', 'app.example'],
    ['https://%61pp.example', 'app.example'],
    ['https://ａpp.example', 'app.example'],
    ['https://2130706433', '127.0.0.1'],
    ['https://0x7f.1', '127.0.0.1'],
    ['//app.example', 'app.example'],
    ['app.example', 'app.example'],
    ['https:app.example', 'app.example'],
    [' https://app.example', 'app.example'],
    ['https://app.example, https://evil.example', 'app.example'],
    ['https://app.example\n', 'app.example'],
    ['file://app.example', 'app.example'],
    ['chrome-extension://abcdef', 'abcdef'],
    ['https://evil.example', 'app.example, evil.example'],
  ]
  for (const [origin, host] of refused) {
    test(`not ${JSON.stringify(origin)} on ${host}`, () => expect(originAllowed(origin, host, [])).toBe(false))
  }
})

describe('with a list', () => {
  const list = ['https://app.example', 'http://localhost:5173', 'capacitor://localhost', 'not an origin']
  const check = (origin: string | null) => originAllowed(origin, 'api.example', list)

  test('its origins are allowed, in whatever way they spell their default port', () => {
    expect(
      ['https://app.example', 'https://app.example:443', 'http://localhost:5173', 'capacitor://localhost', null].map(
        check,
      ),
    ).toEqual(Array(5).fill(true))
  })

  test('everything else is refused, the own host too', () => {
    const others = [
      'http://app.example',
      'https://app.example:444',
      'https://app.example.evil.example',
      'https://api.example',
      'http://localhost',
      'https://localhost',
      'null',
      'not an origin',
      '*',
    ]
    expect(others.map(check)).toEqual(others.map(() => false))
  })

  test('null is no origin that could be listed', () => {
    expect(originAllowed('null', 'api.example', ['null'])).toBe(false)
  })

  test('a star allows everything', () => {
    expect(['https://evil.example', 'null', '', null].map((origin) => originAllowed(origin, null, ['*']))).toEqual(
      Array(4).fill(true),
    )
  })
})
