/**
 * A server in a program of your own: everybody hears the time every second.
 *
 *   SECRET=… node_modules/.bin/bun examples/library.ts
 */
import { configFrom, startServer, tidings } from 'tidings'

const clock = tidings().on('what_time', () => ({ time: new Date().toISOString() }))

const config = configFrom(
  {
    server: { host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) },
    auth: { secret: process.env.SECRET ?? '' },
    // Nothing outlives the process; the path of a file keeps messages until users have them.
    store: { path: ':memory:' },
  },
  'production',
)
const server = await startServer(config, { app: clock, mode: 'production' })

const ticking = setInterval(() => clock.publish('all', 'tick', { time: new Date().toISOString() }), 1000)

process.on('SIGTERM', async () => {
  clearInterval(ticking)
  await server.stop()
  process.exit(0)
})
