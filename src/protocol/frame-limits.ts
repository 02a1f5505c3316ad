/** What a frame may look like, in any format. */
import { TidingsError } from './errors.ts'

export interface FrameLimits {
  /** Levels of nested objects and arrays; 0 for no limit but the ceiling of {@link depthLimit}. */
  readonly maxDepth: number
  /** Keys of all objects of one frame together; 0 for none. */
  readonly maxKeys: number
}

/** Levels that are refused whatever is configured: whoever reads a message, here or in a browser, does so by recursion. */
const DEPTH_CEILING = 1000

export function depthLimit(limits: FrameLimits): number {
  return limits.maxDepth > 0 ? Math.min(limits.maxDepth, DEPTH_CEILING) : DEPTH_CEILING
}

export function keyLimit(limits: FrameLimits): number {
  return limits.maxKeys > 0 ? limits.maxKeys : Number.POSITIVE_INFINITY
}

export function tooDeep(limits: FrameLimits): TidingsError {
  return new TidingsError('invalid_message', `The frame is nested deeper than ${depthLimit(limits)} levels`, {
    details: { field: 'frame', max_depth: depthLimit(limits) },
  })
}

export function tooManyKeys(limits: FrameLimits): TidingsError {
  return new TidingsError('invalid_message', `The frame has more than ${limits.maxKeys} keys`, {
    details: { field: 'frame', max_keys: limits.maxKeys },
  })
}
