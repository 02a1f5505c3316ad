/** What outlives a server that is killed: the suite that its source and the binary share. */
import { expect, test } from 'bun:test'
import { clientsOf, collect, numbers } from '../support/clients.ts'
import { restartable } from '../support/restartable.ts'
import { until } from '../support/until.ts'

const CONFIG = {
  rooms: [{ pattern: 'kept', history: { max_messages: 2000, max_age: '1h' as const } }],
  limits: { per_user: 0, messages_per_second: 0 },
}

/** @param command how to start the server. */
export function restartContract(name: string, command: readonly string[]): void {
  test(`${name}: killed under load and started again, a server brings everybody everything once and in order`, async () => {
    await using server = await restartable(command, CONFIG)
    const { client, closeAll } = clientsOf(server.url, server.token)
    const [alice, bob] = [client({ user: 'alice', device: 'phone' }), client({ user: 'bob', device: 'desk' })]
    try {
      await Promise.all([alice.connect(), bob.connect()])
      await Promise.all([alice.join('kept'), bob.join('kept')])
      const [heard, gaps] = [collect(alice, 'count'), collect(alice, 'gap')]
      // Many are under way when it dies: those are sent again with their ids, and stored once.
      const published = numbers(400).map((n) => bob.publish({ room: 'kept' }, 'count', n))
      const waiting = numbers(10).map((n) => bob.publish({ user_id: 'carol' }, 'count', n))
      await until(() => heard.length > 50)
      await server.kill()
      await server.start()
      await Promise.all([...published, ...waiting])
      await bob.publish({ room: 'kept' }, 'count', 'end')
      await until(() => heard.includes('end'))
      expect(heard).toEqual([...numbers(400), 'end'])
      expect(gaps).toEqual([])

      await server.kill()
      await server.start()
      const carol = client({ user: 'carol', device: 'tablet' })
      const waited = collect(carol, 'count')
      await carol.connect()
      await until(() => waited.length === 10)
      expect(waited).toEqual(numbers(10))
    } finally {
      closeAll()
    }
  }, 20_000)
}
