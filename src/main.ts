/** The binary. */

// First, before any library is loaded: see there.
import './cli/environment.ts'
import { run } from './cli/run.ts'

process.exit(await run(process.argv.slice(2)))
