/** Shows a configuration: complete, as a file would have it, and without its secrets. */

import { formatDuration } from './durations.ts'
import type { KeySchema } from './keys.ts'
import { type Config, ROOT } from './schema.ts'
import { isTable } from './values.ts'

const MASK = '***'

/** The configuration as JSON with durations as texts and secrets masked. The text ends without a line break. */
export function printConfig(config: Config): string {
  return JSON.stringify(shown(ROOT, config), null, 2)
}

function shown(schema: KeySchema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => shown(schema.items ?? {}, item))
  if (isTable(value)) {
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, shown(schema.properties?.[key] ?? {}, item)]),
    )
  }
  if (typeof value === 'string') return maskedUrl(value) ?? (schema.secret ? MASK : value)
  if (schema.duration && typeof value === 'number') return formatDuration(value)
  return value
}

/** A URL keeps its place and loses its password; `undefined` where it is none. */
function maskedUrl(value: string): string | undefined {
  if (!URL.canParse(value) || !value.includes('://')) return undefined
  const url = new URL(value)
  // As it was written: what stands for itself, an origin say, must not gain a slash.
  if (!(url.username || url.password || url.search)) return value
  if (url.username) url.username = MASK
  if (url.password) url.password = MASK
  return url.search ? `${url.href.slice(0, -url.search.length)}?${MASK}` : url.href
}
