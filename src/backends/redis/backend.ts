/** All ports for one of many instances. */
import type { Backend, LocalView, Slots } from '../../core/ports/backend.ts'
import type { RedisDirectory } from './directory/directory.ts'
import type { RedisStore } from './store.ts'

/** @param store opened before: a start must be able to fail, and this cannot. */
export function createRedisBackend(store: RedisStore): (local: LocalView) => Backend {
  const { bus, directory, messages, shelf, states, tickets } = store
  return (local) => {
    directory.attach(local)
    return {
      attendances: directory,
      slots: slotsOf(directory),
      states,
      log: messages,
      tickets,
      bus,
      directory,
      shelf,
      // What has to be done now and then is done by timers of its own, because it waits for Redis.
      sweep: () => {},
      close: () => store.close(),
    }
  }
}

/** A user's limit alone, for those who know of no other. */
function slotsOf(directory: RedisDirectory): Slots {
  return {
    reserve: async (userId, connectionId, limit) => {
      const seat = { connectionId, userId, deviceId: '', addressKey: '' }
      const limits = { perUser: limit, perUserPolicy: 'reject', perAddress: 0, total: 0 } as const
      return (await directory.reserve(seat, limits)).seated
    },
    release: (_, connectionId) => directory.release(connectionId),
  }
}
