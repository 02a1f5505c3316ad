/** What a frame may look like, in any format. */
import { TidingsError } from './errors.ts'

export interface FrameLimits {
  /** Levels of nested objects and arrays. */
  readonly maxDepth: number
  /** Keys of all objects of one frame together. */
  readonly maxKeys: number
}

export function tooDeep(limits: FrameLimits): TidingsError {
  return new TidingsError('invalid_message', `The frame is nested deeper than ${limits.maxDepth} levels`, {
    details: { field: 'frame', max_depth: limits.maxDepth },
  })
}

export function tooManyKeys(limits: FrameLimits): TidingsError {
  return new TidingsError('invalid_message', `The frame has more than ${limits.maxKeys} keys`, {
    details: { field: 'frame', max_keys: limits.maxKeys },
  })
}
