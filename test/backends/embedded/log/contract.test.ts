import { type LogHarness, logContract } from '../../../contracts/log.ts'
import { Site } from './support.ts'

async function harness(durability: 'process' | 'full'): Promise<LogHarness> {
  const site = new Site()
  return {
    open: async () => site.open({ durability }).messages,
    now: () => site.clock.now(),
    pass: (ms) => {
      site.clock.passed += ms
    },
    dispose: () => site[Symbol.asyncDispose](),
  }
}

logContract('the log in SQLite', () => harness('process'))
logContract('the log in SQLite with full durability', () => harness('full'))
