/**
 * A backend that tells a user of a shipped order. It may try as often as it likes: with the same key it is delivered once.
 *
 *   KEY=… node_modules/.bin/bun examples/publish.ts alice 7
 */
const server = process.env.SERVER ?? 'http://127.0.0.1:3000'
const key = process.env.KEY
const [user, order] = process.argv.slice(2)
if (!key || !user || !order) throw new Error('Usage: KEY=<a key of admin.keys> publish.ts USER ORDER')

const answer = await fetch(`${server}/realtime/publish`, {
  method: 'POST',
  headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
  body: JSON.stringify({
    to: { user_id: user },
    type: 'order_shipped',
    payload: { order },
    idempotency_key: `shipped-${order}`,
  }),
})
const body = await answer.json()
if (!answer.ok) throw new Error(`${body.error.error_code}: ${body.error.message}`)
console.log(body.online > 0 ? `${user} has heard of it` : `${user} will hear of it`)
