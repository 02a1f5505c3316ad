/** All ports for one of many instances. */
import type { Backend, LocalView } from '../../core/ports/backend.ts'
import { createRedisStore, type RedisStore, type RedisStoreOptions } from './store.ts'

/**
 * Connects to Redis and fills the ports with it.
 * @public required, not imported, by `app.ts`
 * @throws BackendError with a line for the operator where `redis.url` is none.
 */
export function createRedisBackend(options: RedisStoreOptions): (local: LocalView) => Backend {
  return backendOf(createRedisStore(options))
}

/** The ports of a store that is there. */
export function backendOf(store: RedisStore): (local: LocalView) => Backend {
  const { bus, directory, messages, revocations, shelf, states, tickets } = store
  return (local) => {
    directory.attach(local)
    return {
      attendances: directory.attendances,
      states,
      log: messages,
      tickets,
      revocations,
      bus,
      directory,
      shelf,
      begin: () => store.begin(),
      // What has to be done now and then is done by timers of its own, because it waits for Redis.
      sweep: () => {},
      close: () => store.close(),
    }
  }
}
