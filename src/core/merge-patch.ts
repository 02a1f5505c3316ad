/** JSON Merge Patch, RFC 7396 section 2. Patches come from clients: keys are data, also those named like a prototype. */
import { isRecord } from '../protocol/frames.ts'

/** The value that the patch makes of `target`; neither is changed. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isRecord(patch)) return patch
  const merged = new Map(isRecord(target) ? Object.entries(target) : [])
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key)
    else merged.set(key, mergePatch(merged.get(key), value))
  }
  // Defines own properties: assigning `__proto__` would change the object's prototype instead.
  return Object.fromEntries(merged)
}
