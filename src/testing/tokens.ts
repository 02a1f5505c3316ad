/** Who somebody is in a test, and the token that says so. */
import { issueToken } from '../auth/issue.ts'

/** The secret of test servers. Known to everybody: a server in production refuses it. */
export const TEST_SECRET = 'tidings-test-secret-that-is-known-to-everybody'

export interface Who {
  readonly user: string | number
  /** Absent: one is made for the connection. */
  readonly device?: string
  /** Shown to others. */
  readonly name?: string
  readonly roles?: readonly string[]
  /** Names or patterns that narrow what the room rules allow. */
  readonly allowedRooms?: readonly string[]
  /** A role within one room, by its name. */
  readonly roomRoles?: Readonly<Record<string, string>>
  /** The connection's metadata. */
  readonly meta?: Readonly<Record<string, unknown>>
  /** Seconds until the token ends; negative: it has ended. An hour where absent. */
  readonly expiresIn?: number
  /** Any other claims; they win. */
  readonly claims?: Readonly<Record<string, unknown>>
}

const AN_HOUR_S = 3600

export function tokenFor(secret: string, who: Who): Promise<string> {
  const { user, device, name, roles, allowedRooms, roomRoles, meta, claims } = who
  const named = {
    user_id: user,
    ...(device !== undefined && { device_id: device }),
    ...(name !== undefined && { username: name }),
    ...(roles && { roles }),
    ...(allowedRooms && { rooms: allowedRooms }),
    ...(roomRoles && { room_roles: roomRoles }),
    ...(meta && { meta }),
    ...claims,
  }
  return issueToken(secret, named, who.expiresIn ?? AN_HOUR_S)
}
