/** The bounds on what one client, one address and everybody together may take. */

import { Type } from 'typebox'
import { choice, integer } from './keys.ts'

export const LIMITS_SCHEMA = Type.Object(
  {
    per_user: integer({
      description: 'Connections of one user at a time, over all devices. 0: no limit.',
      default: 3,
      reason: 'A phone, a laptop and a spare tab.',
    }),
    per_user_policy: choice(['reject', 'close_oldest'], {
      description: 'What happens over `limits.per_user`: the new connection is refused, or the oldest is closed.',
      default: 'reject',
      reason: 'Nobody is thrown out by a login elsewhere; a reconnect takes its own old slot over.',
    }),
    per_ip: integer({
      description: 'Connections of one address at a time (IPv6 by /64). 0: no limit.',
      default: 100,
      reason: 'An office or a school behind one address still fits, one machine cannot fill the server.',
    }),
    total: integer({
      description: 'Connections of this instance at a time. 0: no limit.',
      computed: '90 % of the limit of open files',
      reason: 'The rest is for files, the store and probes: the server stays reachable when it is full.',
    }),
    total_cluster: integer({
      description: 'Connections of all instances together, where they share a Redis. 0: no limit.',
      default: 0,
      reason: 'Each instance already has its own.',
    }),
    connects_per_second: integer({
      description: 'New connections a second from one address, asked before any token is verified. 0: no limit.',
      default: 50,
      reason: 'Verifying signatures is what an attacker would make the server do.',
    }),
    messages_per_second: integer({
      description: 'Frames a second from one connection, on average. 0: no limit.',
      default: 50,
      reason: 'Faster than a person or a 20 ms timer, far below what hurts others.',
    }),
    burst: integer({
      description: 'Frames one connection may send at once after a pause. 0: as many as a second allows.',
      default: 100,
      reason: 'Two seconds worth, for what was queued while offline.',
    }),
    bytes_per_second: integer({
      description: 'Bytes a second from one connection, on average. 0: no limit.',
      default: 1_048_576,
      reason: '1 MiB: sixteen of the largest frames a second.',
    }),
    max_message_bytes: integer({
      description: 'Bytes of one frame.',
      minimum: 128,
      maximum: 134_217_728,
      default: 65_536,
      reason: '64 KiB: ample for text and metadata; files belong in an object store.',
    }),
    max_depth: integer({
      description: 'Nested arrays and objects in one frame. 0: no limit.',
      default: 32,
      reason: 'No honest message is deeper, and depth is what makes parsers slow.',
    }),
    max_keys: integer({
      description: 'Keys of all objects in one frame together. 0: no limit.',
      default: 1000,
      reason: 'A million keys would hold the event loop for the better part of a second.',
    }),
    max_rooms: integer({
      description: 'Rooms one connection may be in. 0: no limit.',
      default: 100,
      reason: 'Each membership costs memory on the server.',
    }),
    max_pending_bytes: integer({
      description: 'Bytes waiting for one connection that does not read before it is closed as a slow consumer.',
      minimum: 1024,
      maximum: 1_073_741_824,
      default: 1_048_576,
      reason: '1 MiB: a few seconds of a busy room; a client that is cut off resumes without a gap.',
    }),
    replay_messages: integer({
      description: 'Messages replayed to one connection on resume; beyond it the client is told of a gap. 0: no limit.',
      default: 10_000,
      reason: 'Past that, loading the current state is faster than the past.',
    }),
  },
  { additionalProperties: false, description: 'Bounds. 0 switches off any count or rate.' },
)
