import type { Frame } from '../../src/testing/index.ts'

/** A frame's payload as the object it must be. */
export function payloadOf(frame: Frame): Record<string, unknown> {
  const { payload } = frame
  if (typeof payload !== 'object' || payload === null) throw new Error(`no object as payload: ${JSON.stringify(frame)}`)
  return payload as Record<string, unknown>
}

/** What is right for every frame of a type, whatever its values are: for `toEqual`. */
export function types(frames: readonly Frame[]): string[] {
  return frames.map(({ type }) => type)
}
