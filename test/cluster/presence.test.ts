/** Comings and goings that others hear of, where clients go at a bad moment. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { TestServer } from '../../src/testing/index.ts'
import { type Cluster, startCluster } from '../contracts/cluster.ts'
import { names } from '../support/names.ts'
import { types } from '../support/payload.ts'
import { until } from '../support/until.ts'

setDefaultTimeout(30_000)

let cluster: Cluster
let one: TestServer
let two: TestServer

beforeAll(async () => {
  cluster = await startCluster({ instances: 2, config: { limits: { per_user: 0 } } })
  ;[one, two] = cluster.servers as [TestServer, TestServer]
})
afterAll(() => cluster[Symbol.asyncDispose]())

// Its connection is given back with all its rooms, and whoever gave it back told the others that its user had left.
test('who is cut before its welcome was never there for the others', async () => {
  const { alice, bob, lobby } = names()
  await using watcher = await two.connect({ user: bob, rooms: [lobby] })
  const { catchUp, registry } = one.hub
  const { attendances } = one.hub.backend
  const plan = catchUp.plan.bind(catchUp)
  const goOn = Promise.withResolvers<void>()
  catchUp.plan = async (...args) => {
    await goOn.promise
    return plan(...args)
  }
  const refused = one.connect({ user: alice, rooms: [lobby] }).catch((error) => error)
  await until(async () => (await attendances.count(lobby)) === 2)
  for (const session of registry.byUser.get(alice)) one.hub.close(session, 1011, 'lost')
  expect(await refused).toBeInstanceOf(Error)
  await until(async () => (await attendances.count(lobby)) === 1)
  catchUp.plan = plan
  goOn.resolve()
  await one.app.publish({ room: lobby }, 'afterwards', 1)
  await watcher.next('afterwards')
  expect(types(await watcher.received())).toEqual([])
})
