import type { Hub } from '../../src/core/hub.ts'

/** Whether a user of whom one connection is allowed may have it: then none holds its place. The place is given back. */
export async function hasFreeSeat({ backend: { directory } }: Hub, userId: string): Promise<boolean> {
  const seat = { connectionId: 'probe', userId, deviceId: 'probe', addressKey: 'probe' }
  const limits = { perUser: 1, perUserPolicy: 'reject', perAddress: 0, total: 0 } as const
  const { seated } = await directory.reserve(seat, limits)
  directory.release('probe')
  return seated
}
