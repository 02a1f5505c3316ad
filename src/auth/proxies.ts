/** Which address a client has: the peer's own, or what a trusted proxy says of it. */

import { BlockList, isIP } from 'node:net'

/** Most hops that are followed: chains are short, headers may be long. */
const MAX_HOPS = 32

/** Proxies whose `X-Forwarded-For` is believed. */
export interface TrustedProxies {
  includes(address: string): boolean
}

/** @param entries addresses or CIDRs, IPv4 and IPv6. Throws an error for the operator where one is neither. */
export function createTrustedProxies(entries: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const entry of entries) {
    const [address = '', bits, more] = entry.split('/')
    const version = isIP(address)
    const width = version === 4 ? 32 : 128
    const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
    if (version === 0 || more !== undefined || !(prefix <= width)) {
      throw new Error(`server.trusted_proxies: "${entry}" is neither an IP address nor a CIDR such as 10.0.0.0/8`)
    }
    list.addSubnet(address, prefix, family(address))
  }
  return {
    includes: (address) => entries.length > 0 && isIP(address) !== 0 && list.check(address, family(address)),
  }
}

/**
 * The address to limit, to log and to show.
 * @param peer the other end of the TCP connection.
 * @param forwardedFor the `X-Forwarded-For` header. Each proxy appends the address it saw, so it is read from the right
 *   for as long as a trusted proxy wrote the entry; what stands further left is the client's own invention.
 */
export function clientAddress(peer: string, forwardedFor: string | null, trusted: TrustedProxies): string {
  let address = normaliseAddress(peer)
  if (forwardedFor === null) return address
  const hops = forwardedFor.split(',')
  for (let i = hops.length - 1; i >= 0 && i >= hops.length - MAX_HOPS && trusted.includes(address); i--) {
    const hop = hopAddress(hops[i] ?? '')
    if (hop === undefined) break
    address = hop
  }
  return address
}

/** What a limit per address counts by: an IPv4 address, or the /64 that one IPv6 customer has all of. */
export function limitKey(address: string): string {
  const normal = normaliseAddress(address)
  if (isIP(normal) !== 6) return normal
  return `${groups(normal)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/** One spelling per address: an IPv4 peer of an IPv6 listener is IPv4, and an IPv6 address has no zone and no zeros to spare. */
export function normaliseAddress(address: string): string {
  const bare = address.replace(/%.*$/s, '')
  if (isIP(bare) !== 6) return bare
  const all = groups(bare)
  const [a, b, c, d, e, f, high = 0, low = 0] = all
  if (!(a || b || c || d || e) && f === 0xffff) return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  return new URL(`http://[${all.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1)
}

/** One entry of the header: an address, perhaps with a port, IPv6 then in brackets. */
function hopAddress(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  return isIP(bare) === 0 ? undefined : normaliseAddress(bare)
}

/** The eight numbers of a valid IPv6 address. */
function groups(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)
  if (dotted) {
    const [, start, a, b, c, d] = dotted
    const pair = (high: string | undefined, low: string | undefined) => (Number(high) * 256 + Number(low)).toString(16)
    return groups(`${start}${pair(a, b)}:${pair(c, d)}`)
  }
  const [left = [], right = []] = address
    .split('::')
    .map((half) => (half === '' ? [] : half.split(':').map((group) => Number.parseInt(group, 16))))
  const zeros = address.includes('::') ? 8 - left.length - right.length : 0
  return [...left, ...new Array<number>(zeros).fill(0), ...right]
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 4 ? 'ipv4' : 'ipv6'
}
