import { expect, test } from 'bun:test'
import { restartable } from '../support/restartable.ts'
import { connectWs } from '../support/ws-client.ts'

// Its first position was written a moment later: after a crash the device was new once more, and went on from where
// another of the user's stood.
test('a device is known after a crash that came right after its first welcome', async () => {
  await using site = await restartable([process.execPath, 'src/main.ts'])
  const connect = async (device: string, query: Record<string, string> = {}) =>
    connectWs(
      site.url,
      { user: 'alice', query: { ack: 'explicit', ...query } },
      await site.token({ user: 'alice', device }),
    )
  const phone = await connect('phone')
  await phone.close()
  await connect('watch')
  await site.kill()
  await site.start()

  const bob = await connectWs(site.url, { user: 'bob' }, await site.token({ user: 'bob' }))
  await bob.request({ type: 'note', id: 'n', to: { user_id: 'alice' }, payload: 'for both' })
  const again = await connect('phone')
  const note = await again.next('note')
  again.send({ type: 'ack', payload: { cursor: note.cursor } })
  await again.request({ type: 'ping' })

  const watch = await connect('watch')
  expect((await watch.next('note')).payload).toBe('for both')
})
