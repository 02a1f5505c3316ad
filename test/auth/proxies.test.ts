import { describe, expect, test } from 'bun:test'
import { clientAddress, createTrustedProxies, limitKey, normaliseAddress } from '../../src/auth/proxies.ts'

const none = createTrustedProxies([])
const proxies = createTrustedProxies(['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '2001:db8::1'])

describe('clientAddress', () => {
  test('is the peer where it is no trusted proxy, whatever the header says', () => {
    expect(clientAddress('198.51.100.7', '1.2.3.4', none)).toBe('198.51.100.7')
    expect(clientAddress('198.51.100.7', '1.2.3.4', proxies)).toBe('198.51.100.7')
    expect(clientAddress('::ffff:198.51.100.7', null, proxies)).toBe('198.51.100.7')
  })

  test('is the rightmost address that no trusted proxy has', () => {
    expect(clientAddress('10.1.1.1', '198.51.100.7', proxies)).toBe('198.51.100.7')
    expect(clientAddress('10.1.1.1', '198.51.100.7, 192.0.2.1, 10.2.2.2', proxies)).toBe('198.51.100.7')
    expect(clientAddress('::ffff:10.1.1.1', '198.51.100.7', proxies)).toBe('198.51.100.7')
    expect(clientAddress('fd00::5', '2001:db8:9::9, 2001:DB8:0::1', proxies)).toBe('2001:db8:9::9')
  })

  /** Whoever could choose its address here would be free of every limit per address. */
  test('is never what the client itself wrote', () => {
    expect(clientAddress('10.1.1.1', '1.1.1.1, 198.51.100.7', proxies)).toBe('198.51.100.7')
    expect(clientAddress('10.1.1.1', '10.9.9.9, 198.51.100.7', proxies)).toBe('198.51.100.7')
  })

  test('is the last that could be read where the header is broken', () => {
    expect(clientAddress('10.1.1.1', '198.51.100.7, unknown', proxies)).toBe('10.1.1.1')
    expect(clientAddress('10.1.1.1', '198.51.100.7, <script>, 10.2.2.2', proxies)).toBe('10.2.2.2')
    expect(clientAddress('10.1.1.1', '', proxies)).toBe('10.1.1.1')
    expect(clientAddress('10.1.1.1', ',,,', proxies)).toBe('10.1.1.1')
    expect(clientAddress('10.1.1.1', '198.51.100.999', proxies)).toBe('10.1.1.1')
  })

  test('may have a port, which is not part of it', () => {
    expect(clientAddress('10.1.1.1', '198.51.100.7:51234', proxies)).toBe('198.51.100.7')
    expect(clientAddress('10.1.1.1', '[2001:db8:9::9]:51234', proxies)).toBe('2001:db8:9::9')
    expect(clientAddress('10.1.1.1', '[2001:db8:9::9]', proxies)).toBe('2001:db8:9::9')
  })

  test('is the outermost proxy where all are trusted', () => {
    expect(clientAddress('10.1.1.1', '10.3.3.3, 10.2.2.2', proxies)).toBe('10.3.3.3')
  })

  test('follows no chain for ever', () => {
    const chain = ['198.51.100.7', ...Array<string>(1000).fill('10.2.2.2')].join(', ')
    expect(clientAddress('10.1.1.1', chain, proxies)).toBe('10.2.2.2')
  })
})

describe('createTrustedProxies', () => {
  test('knows the edges of its ranges', () => {
    const range = createTrustedProxies(['192.168.4.0/22', '2001:db8:8000::/33'])
    const inside = ['192.168.4.0', '192.168.7.255', '2001:db8:8000::', '2001:db8:ffff:ffff:ffff:ffff:ffff:ffff']
    const outside = ['192.168.3.255', '192.168.8.0', '2001:db8:7fff:ffff::', '2001:db9::', 'garbage', '']
    expect(inside.map((address) => range.includes(address))).toEqual(inside.map(() => true))
    expect(outside.map((address) => range.includes(address))).toEqual(outside.map(() => false))
  })

  test('refuses what is neither an address nor a CIDR', () => {
    for (const entry of [
      'localhost',
      '10.0.0.0/33',
      '::1/129',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      '10.0.0.0/-1',
      '10.0.0.0/8.5',
      '',
      '10.0.0',
    ]) {
      expect(() => createTrustedProxies([entry])).toThrow('neither an IP address nor a CIDR')
    }
  })
})

describe('limitKey', () => {
  test('counts IPv4 by address, also as an IPv6 listener sees it', () => {
    expect(limitKey('198.51.100.7')).toBe('198.51.100.7')
    expect(limitKey('::ffff:198.51.100.7')).toBe('198.51.100.7')
    expect(limitKey('::ffff:c633:6407')).toBe('198.51.100.7')
  })

  /** One customer has a whole /64: counted by address, a limit per address would be none. */
  test('counts IPv6 by /64', () => {
    const key = limitKey('2001:db8:1:2:3:4:5:6')
    expect(limitKey('2001:db8:1:2:ffff::1')).toBe(key)
    expect(limitKey('2001:DB8:1:2::')).toBe(key)
    expect(limitKey('2001:db8:1:3::1')).not.toBe(key)
    expect(limitKey('2001:db8::1')).toBe('2001:db8:0:0::/64')
    expect(limitKey('fe80::1%eth0')).toBe(limitKey('fe80::2'))
    expect(limitKey('::1')).toBe('0:0:0:0::/64')
  })
})

test('an address has one spelling', () => {
  expect(normaliseAddress('2001:0DB8:0:0:0:0:0:1')).toBe('2001:db8::1')
  expect(normaliseAddress('64:ff9b::198.51.100.7')).toBe('64:ff9b::c633:6407')
  expect(normaliseAddress('0:0:0:0:0:FFFF:1.2.3.4')).toBe('1.2.3.4')
  expect(normaliseAddress('::')).toBe('::')
  expect(normaliseAddress('fe80::1%eth0')).toBe('fe80::1')
})
