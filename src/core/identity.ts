/** Who a connection belongs to, as its credentials say. Made by `auth/`, or by an application's `authenticate`. */
export interface Identity {
  readonly userId: string
  /** The device that the credentials name; absent where the client may choose one. */
  readonly deviceId?: string
  /** Shown to others. */
  readonly username?: string
  /** Matched by room rules. */
  readonly roles: readonly string[]
  /** A role within one room, by room name. Read own keys only: the names are the token's. */
  readonly roomRoles?: Readonly<Record<string, string>>
  /** Names or patterns that narrow what the room rules allow; absent: not narrowed. */
  readonly rooms?: readonly string[]
  /** The connection's first metadata. */
  readonly meta?: Readonly<Record<string, unknown>>
  /** Milliseconds since 1970 at which the credentials end; absent: never. */
  readonly expiresAt?: number
  /** Milliseconds since 1970 at which the credentials were issued. */
  readonly issuedAt?: number
  /** The token's `jti`, by which it can be revoked. */
  readonly tokenId?: string
}

/** Whether somebody has a role: in this room, or everywhere. */
export function hasRole({ roles, roomRoles }: Identity, room: string, role: string): boolean {
  return roles.includes(role) || (roomRoles !== undefined && Object.hasOwn(roomRoles, room) && roomRoles[room] === role)
}
