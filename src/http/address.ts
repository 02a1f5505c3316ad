/** What a request says of where it wants to go, read with care: its URL is not always one. */

/** One host name or address, with or without a port. */
const HOST = /^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/

/**
 * Whether the `Host` header names exactly one host. Two headers arrive joined by a comma; an empty one makes the URL of
 * the request relative. Whoever sends either wants two readers of the request to disagree about it.
 */
export function hostIsClear({ headers }: Request): boolean {
  return HOST.test(headers.get('host') ?? '')
}

/** The query, also where the URL cannot be parsed. */
export function queryOf({ url }: Request): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at === -1 ? '' : url.slice(at).split('#', 1)[0])
}

/** The path as it was sent, without what stands before and behind it. */
export function pathOf({ url }: Request): string {
  return url.replace(/^[a-z]+:\/\/[^/]*/i, '').split(/[?#]/, 1)[0] ?? ''
}

/**
 * A path as the most forgiving reader would understand it: decoded, without parameters, doubled slashes and dots. For
 * deciding what to keep quiet about, never for finding a route.
 */
export function forgivingPath(path: string): string {
  let decoded = path
  try {
    // Twice: a proxy may have decoded once already.
    decoded = decodeURIComponent(decodeURIComponent(path))
  } catch {
    // Not an encoding: it is read as it stands.
  }
  const parts: string[] = []
  for (const part of decoded.toLowerCase().split(/[/\\]+/)) {
    const name = part.split(';', 1)[0] as string
    if (name === '..') parts.pop()
    else if (name !== '' && name !== '.') parts.push(name)
  }
  return `/${parts.join('/')}`
}
