/**
 * What JSON makes of a value: `toJSON` is asked, keys whose value is `undefined` are left out, numbers that are not finite
 * become null. Other formats encode this, so that members of one room who read different formats read the same message.
 */

/**
 * A value without anything that JSON lacks, but bytes, which stay as they are. What is plain already is returned as it is.
 * A lone surrogate, which JSON text can carry, is no UTF-8 and becomes U+FFFD.
 * @throws TypeError for a bigint, as `JSON.stringify` does.
 */
export function toPlain(value: unknown, key = ''): unknown {
  switch (typeof value) {
    case 'string':
      return value.isWellFormed() ? value : value.toWellFormed()
    case 'number':
      return Number.isFinite(value) ? value : null
    case 'object':
      return value === null || value instanceof Uint8Array ? value : plainObject(value, key)
    case 'bigint':
      throw new TypeError('Frames, like JSON, cannot carry a bigint: convert it to a string')
    case 'boolean':
      return value
    default:
      return undefined
  }
}

function plainObject(value: object, key: string): unknown {
  if ('toJSON' in value && typeof value.toJSON === 'function') return withoutToJson(value.toJSON(key))
  return Array.isArray(value) ? plainArray(value) : plainMap(value as Record<string, unknown>)
}

/** What `toJSON` returned is not asked again. */
function withoutToJson(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return toPlain(value)
  return Array.isArray(value) ? plainArray(value) : plainMap(value as Record<string, unknown>)
}

function plainArray(array: readonly unknown[]): readonly unknown[] {
  let copy: unknown[] | undefined
  for (let index = 0; index < array.length; index++) {
    const plain = toPlain(array[index], String(index)) ?? null
    if (copy === undefined && plain !== array[index]) copy = array.slice(0, index)
    copy?.push(plain)
  }
  return copy ?? array
}

function plainMap(map: Record<string, unknown>): object {
  let changed = Object.getPrototypeOf(map) !== Object.prototype
  const entries: [string, unknown][] = []
  for (const key of Object.keys(map)) {
    const plain = toPlain(map[key], key)
    const name = key.isWellFormed() ? key : key.toWellFormed()
    if (plain !== map[key] || name !== key || plain === undefined) changed = true
    if (plain !== undefined) entries.push([name, plain])
  }
  // Defines own properties: assigning `__proto__` would set the prototype and lose the key.
  return changed ? Object.fromEntries(entries) : map
}
