/** All ports for one process. */
import type { Backend, LocalView } from '../../core/ports/backend.ts'
import { EmbeddedAttendances } from './attendances.ts'
import { EmbeddedDirectory } from './directory.ts'
import { openStore, type StoreOptions } from './log/store.ts'
import { EmbeddedTickets } from './tickets.ts'

/**
 * Opens the store and fills the ports with it and with memory.
 * @throws StoreError with a line for the operator where the store cannot be opened.
 */
export function createEmbeddedBackend(options: StoreOptions): (local: LocalView) => Backend {
  const store = openStore(options)
  const tickets = new EmbeddedTickets(options.clock)
  return (local) => ({
    attendances: new EmbeddedAttendances(local),
    directory: new EmbeddedDirectory(local, options.clock),
    states: store.states,
    log: store.messages,
    tickets,
    revocations: store.revocations,
    sweep: () => tickets.sweep(),
    close: () => store.close(),
  })
}
