/** Places in a stream of Redis: milliseconds, and a number within them. */

/** Of what could not be put into the stream. */
export const NO_PLACE = '0-0'

export function isPlace(text: string): boolean {
  return /^[0-9]{1,15}-[0-9]{1,15}$/.test(text)
}

export function isLater(place: string, than: string): boolean {
  const [ms = 0, n = 0] = place.split('-').map(Number)
  const [thanMs = 0, thanN = 0] = than.split('-').map(Number)
  return ms === thanMs ? n > thanN : ms > thanMs
}
