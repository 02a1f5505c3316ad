/** Ids that the server gives out. */

/** A connection's id: 16 random bytes, because knowing it is part of taking a connection over. */
export function newConnectionId(): string {
  return crypto.getRandomValues(new Uint8Array(16)).toBase64({ alphabet: 'base64url', omitPadding: true })
}

/** The id of an event that wants an answer: 16 random bytes, because whoever knows it can answer. */
export function newAckId(): string {
  return newConnectionId()
}

const PROCESS = crypto.getRandomValues(new Uint8Array(6)).toBase64({ alphabet: 'base64url', omitPadding: true })
let counter = 0

/** A message's id: unique over all processes by a random prefix, cheap by a counter. */
export function newMessageId(): string {
  return `${PROCESS}${(++counter).toString(36)}`
}

/** A correlation id for an error whose frame or request named none. */
export function newCorrelationId(): string {
  return `e-${newMessageId()}`
}
