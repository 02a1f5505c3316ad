/** What the address of a connection may say, for those who read the description. */

export const text = (name: string, description: string, schema: object = {}) => ({
  name,
  in: 'query' as const,
  required: false,
  description,
  schema: { type: 'string' as const, ...schema },
})

export const header = (name: string, description: string) => ({
  ...text(name, description),
  in: 'header' as const,
})

/** The same on every transport. */
export const CONNECT_PARAMETERS = [
  text('token', 'The token, for clients that cannot set a header. A header keeps it out of addresses.'),
  text('ticket', 'A ticket of `/realtime/ticket`, in place of the token.'),
  text('device_id', "The device, within the token's user. Absent: one is made for this connection alone."),
  text('rooms', 'Rooms to join at once, separated by commas: `lobby,news`.'),
  text('cursor', 'The position from which to go on. Absent: where the device has acknowledged, and rooms start live.'),
  text('resume', 'The `connection_id` of a former connection, to have its rooms and metadata back.'),
  text('ack', '`explicit`: only an `ack` frame acknowledges.', { enum: ['auto', 'explicit'], default: 'auto' }),
  text('envelope', 'The key under which payloads are sent.', { enum: ['payload', 'data'], default: 'payload' }),
]
