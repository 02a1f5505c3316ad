/**
 * A shop that has its own Elysia application and its own sessions: its customers hear at once that an order was shipped.
 *
 *   node_modules/.bin/bun examples/elysia.ts
 */
import { Elysia, t } from 'elysia'
import { tidings } from 'tidings'

/** Users by the session in their cookie. A real shop has a database. */
const sessions = new Map<string, string>()

const realtime = tidings({ config: { store: { path: ':memory:' }, limits: { per_user: 10 } } })
  .authenticate((request, next) => {
    const session = /(?:^|; )session=([\w-]+)/.exec(request.headers.get('cookie') ?? '')?.[1]
    const userId = session === undefined ? undefined : sessions.get(session)
    return userId === undefined ? next() : { userId, roles: [] }
  })
  .onConnect(({ session, metadata }) => metadata({ shop: session.userId.startsWith('staff-') ? 'counter' : 'web' }))

const shop = new Elysia()
  .post(
    '/login',
    ({ body, cookie }) => {
      const session = crypto.randomUUID()
      sessions.set(session, body.user)
      cookie.session?.set({ value: session, httpOnly: true, sameSite: 'lax' })
      return { user: body.user }
    },
    { body: t.Object({ user: t.String() }) },
  )
  .post('/orders/:id/ship', ({ params, body }) => realtime.publish({ user_id: body.user }, 'order_shipped', params), {
    body: t.Object({ user: t.String() }),
  })
  .use(realtime)
  .listen({ hostname: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })

console.log(`The shop is open: ${shop.server?.url.origin}`)
