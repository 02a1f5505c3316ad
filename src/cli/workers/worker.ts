/** One of the processes of `serve --workers`. */
import type { RunningServer } from '../../app.ts'
import type { Arguments } from '../arguments.ts'
import { untilStopped } from '../lifetime.ts'
import { reasonOf } from '../operators-error.ts'
import { withHandlers } from '../prepare.ts'
import { modeOf } from '../settings.ts'
import type { Terminal } from '../terminal.ts'
import { SupervisorLink } from './supervisor-link.ts'

/** Milliseconds between two looks at whether this worker takes connections: nothing tells when that changes. */
const LOOK_MS = 250
/** Looks after which that is said though nothing has changed: the supervisor sees that the worker still runs. */
const LOOKS_A_SECOND = 1000 / LOOK_MS

/** Serves what the supervisor says, until it says otherwise or is gone. Resolves with the exit code. */
export async function serveAsWorker(given: Arguments, terminal: Terminal): Promise<number> {
  if (process.send === undefined) {
    terminal.err('tidings: --worker is what --workers starts its processes with: give --workers NUMBER')
    return 1
  }
  const link = new SupervisorLink()
  const config = await link.assigned
  const prepared = config && (await withHandlers({ config, secretGenerated: false }, given, terminal))
  if (!prepared) return 1
  const { app } = prepared
  const [{ startServer }, { createLog }] = await Promise.all([import('../../app.ts'), import('../../telemetry/log.ts')])
  const log = createLog({ ...prepared.config.log, shared: true }).child({ worker: Number(given.text('worker')) })
  const start = async () => {
    const mode = modeOf(given, terminal)
    const server = await startServer(prepared.config, { ...(app && { app }), mode, log, neighbours: link })
    link.tell({ type: 'started', url: server.url })
    reportReadiness(server, link)
    return {
      stop: (reason: string) => server.stop(reason),
      // What the supervisor has read, so that all workers have the same.
      reload: () => server.reloadKeys(link.auth),
    }
  }
  try {
    return await untilStopped(start, { log, parent: link })
  } catch (error) {
    terminal.err(`tidings: ${reasonOf(error)}`)
    return 1
  }
}

/** Tells the supervisor now, whenever it changes, and once a second. */
function reportReadiness(server: RunningServer, link: SupervisorLink): void {
  let told: boolean | undefined
  let looks = 0
  const look = (): void => {
    const ready = server.readiness() === 'ready'
    if (ready === told && ++looks % LOOKS_A_SECOND !== 0) return
    told = ready
    link.tell({ type: 'ready', ready })
  }
  look()
  setInterval(look, LOOK_MS).unref()
}
