/** A room as the application holds it. Listeners stay through reconnects, and until they are ended. */
import type { Listeners } from './listeners.ts'
import type { Joined, JoinOptions } from './rooms.ts'
import type { EventName, EventPayload, Listener } from './types.ts'

export interface Published {
  /** The message's id, as receivers see it. */
  readonly id: string
  /** Where a stored message stands. It is not a position to resume from. */
  readonly cursor?: string
  /** Connections of recipients at that moment. */
  readonly online: number
}

export interface PublishOptions {
  /** To whoever is connected now; never stored. */
  readonly ephemeral?: boolean
  /** Milliseconds to wait for the acknowledgement, waiting for a connection included. Default 60,000. */
  readonly timeoutMs?: number
}

export interface RoomState {
  /** At most 1000 of them; `participantCount` has the whole number. */
  readonly participants: readonly { readonly id: string; readonly username: string | null }[]
  readonly participantCount: number
  /** An object; `{}` where nothing was set. */
  readonly state: unknown
  /** Grows with every change; 0 where nothing was set. */
  readonly version: number
}

export interface RoomPort {
  readonly listeners: Listeners
  join(options: JoinOptions): Promise<Joined>
  leave(): Promise<void>
  publish(type: string, payload: unknown, options: PublishOptions): Promise<Published>
  ask(type: string, payload: object): Promise<Record<string, unknown>>
  participants(): number | undefined
}

export class Room<App = unknown> {
  readonly name: string
  readonly #port: RoomPort

  /** Made by the client. */
  constructor(name: string, port: RoomPort) {
    this.name = name
    this.#port = port
  }

  /** Users in the room as far as known; `undefined` while it is not joined. */
  get participantCount(): number | undefined {
    return this.#port.participants()
  }

  /**
   * Listens to what is said in this room, `'*'` to everything. Before `join()`, where history is wanted: it comes first.
   * @returns what ends the listening.
   */
  on<Name extends EventName<App>>(type: Name, listener: Listener<EventPayload<App, Name>>): () => void {
    return this.#port.listeners.add(type, listener as Listener<unknown>)
  }

  /**
   * Joins, now or on the next connection, and stays in across connections until `leave()`. Resolves after the history.
   * @throws ClientError the server's refusal, or why there will be no connection.
   */
  join(options: JoinOptions = {}): Promise<Joined> {
    return this.#port.join(options)
  }

  leave(): Promise<void> {
    return this.#port.leave()
  }

  /** Says something to the others in the room. Resolves when the server has it, stored where the room keeps history. */
  publish<Name extends EventName<App>>(
    type: Name,
    payload: EventPayload<App, Name>,
    options: PublishOptions = {},
  ): Promise<Published> {
    return this.#port.publish(type, payload, options)
  }

  /** Who is here, and the room's shared state. */
  async state(): Promise<RoomState> {
    const { participants, participant_count, state, version } = await this.#port.ask('get_room_state', {
      room: this.name,
    })
    return { participants, participantCount: participant_count, state, version } as RoomState
  }

  /**
   * Changes the shared state by a JSON Merge Patch: https://www.rfc-editor.org/rfc/rfc7396.
   * @param patch an object: its keys replace those of the state, `null` removes one.
   * @param ifVersion change only this version: rejects with `version_conflict` where it is another.
   * @returns the new version.
   */
  async setState(patch: object, ifVersion?: number): Promise<number> {
    const condition = ifVersion === undefined ? {} : { if_version: ifVersion }
    const { version } = await this.#port.ask('set_room_state', { room: this.name, patch, ...condition })
    return version as number
  }
}
