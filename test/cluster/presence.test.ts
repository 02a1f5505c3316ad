/** Comings and goings that others hear of, where clients go at a bad moment. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import type { TestServer } from '../../src/testing/index.ts'
import { type Cluster, startCluster } from '../contracts/cluster.ts'
import { names } from '../support/names.ts'
import { payloadOf, types } from '../support/payload.ts'
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

/** Lets nobody in at an instance until it is called off. */
function holdUp({ hub: { catchUp } }: TestServer): () => void {
  const plan = catchUp.plan.bind(catchUp)
  const goOn = Promise.withResolvers<void>()
  catchUp.plan = async (...args) => {
    await goOn.promise
    return plan(...args)
  }
  return () => {
    catchUp.plan = plan
    goOn.resolve()
  }
}

// Its connection is given back with all its rooms, and whoever gave it back told the others that its user had left.
test('who is cut before its welcome was never there for the others', async () => {
  const { alice, bob, lobby } = names()
  await using watcher = await two.connect({ user: bob, rooms: [lobby] })
  const { registry } = one.hub
  const { attendances, directory } = one.hub.backend
  const goOn = holdUp(one)
  const refused = one.connect({ user: alice, rooms: [lobby] }).catch((error) => error)
  await until(() => !attendances.isTold(lobby, alice))
  for (const session of registry.byUser.get(alice)) one.hub.close(session, 1011, 'lost')
  expect(await refused).toBeInstanceOf(Error)
  await until(async () => (await directory.connectionsOf(alice)) === 0)
  goOn()
  await one.app.publish({ room: lobby }, 'afterwards', 1)
  await watcher.next('afterwards')
  expect(types(await watcher.received())).toEqual([])
})

// Each instance left it to the other to tell of the user, who was there and had not come.
test('who comes by one instance while being cut at another has come once', async () => {
  const { alice, bob, lobby } = names()
  await using watcher = await two.connect({ user: bob, rooms: [lobby] })
  const { attendances } = one.hub.backend
  const goOn = holdUp(one)
  const refused = one.connect({ user: alice, rooms: [lobby] }).catch((error) => error)
  await until(() => !attendances.isTold(lobby, alice))
  await using other = await two.connect({ user: alice, rooms: [lobby] })
  for (const session of one.hub.registry.byUser.get(alice)) one.hub.close(session, 1011, 'lost')
  expect(await refused).toBeInstanceOf(Error)
  goOn()
  expect(await watcher.next()).toMatchObject({ type: 'user_joined_room', payload: { participant_count: 2 } })
  await other.close()
  expect(await watcher.next()).toMatchObject({ type: 'user_left_room', payload: { participant_count: 1 } })
})

// The list was older than what the one who read it had heard when it came, and nobody took that back.
test('whoever reads who is there goes on with what it is told afterwards', async () => {
  const { alice, bob, carol, lobby } = names()
  await using watcher = await two.connect({ user: bob, rooms: [lobby] })
  const leaving = await one.connect({ user: alice, rooms: [lobby] })
  await watcher.next('user_joined_room')
  const { attendances } = two.hub.backend
  const participants = attendances.participants.bind(attendances)
  const [isRead, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  attendances.participants = async (...args) => {
    const read = await participants(...args)
    isRead.resolve()
    await goOn.promise
    return read
  }
  const state = watcher.request({ type: 'get_room_state', payload: { room: lobby } })
  await isRead.promise
  attendances.participants = participants
  await leaving.close()
  await watcher.next('user_left_room')
  await using _ = await one.connect({ user: carol, name: 'Carol', rooms: [lobby] })
  await watcher.next('user_joined_room')
  goOn.resolve()
  expect(payloadOf(await state)).toMatchObject({
    participant_count: 2,
    participants: [
      { id: bob, username: null },
      { id: carol, username: 'Carol' },
    ],
  })
})

// A user counts from the moment in which it can be reached, not from the one in which it is let in.
test('whoever is told to others can be greeted by them', async () => {
  const { bob, lobby } = names()
  await using watcher = await two.connect({ user: bob, rooms: [lobby] })
  for (let n = 0; n < 20; n++) {
    const guest = one.connect({ user: `guest${n}`, rooms: [lobby] })
    const { payload } = await watcher.next('user_joined_room')
    watcher.send({ type: 'hello', to: { room: lobby }, payload })
    await using greeted = await guest
    expect(await greeted.next('hello')).toMatchObject({ payload })
    await greeted.close()
    await watcher.next('user_left_room')
  }
})
