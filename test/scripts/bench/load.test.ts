import { describe, expect, test } from 'bun:test'
import { jwtVerify } from 'jose'
import { CASES, CLUSTER_CASES, selectCases } from '../../../scripts/bench/cases.ts'
import type { Client } from '../../../scripts/bench/client.ts'
import { Publisher } from '../../../scripts/bench/publisher.ts'
import { bytesReceived } from '../../../scripts/bench/sockets.ts'
import { PAYLOAD, pingFrame } from '../../../scripts/bench/templates.ts'
import { signToken } from '../../../scripts/bench/tokens.ts'
import { childrenOf, cpuSeconds, openFiles, processorMs, residentKiB } from '../../../scripts/bench/usage.ts'

test('tokens are what an independent library verifies', async () => {
  const secret = 'a secret of at least thirty-two bytes'
  const { payload, protectedHeader } = await jwtVerify(
    signToken(secret, { user_id: 'u1' }),
    new TextEncoder().encode(secret),
  )
  expect(protectedHeader).toEqual({ alg: 'HS256', typ: 'JWT' })
  expect(payload).toMatchObject({ user_id: 'u1', exp: (payload.iat ?? 0) + 3600 })
})

test('payloads are of 128 bytes as JSON', () => {
  expect(JSON.stringify(PAYLOAD)).toHaveLength(128)
  expect(JSON.parse(pingFrame())).toEqual({ type: 'ping', payload: PAYLOAD })
})

test('every publish carries an id of its own, all frames of a burst in one write', () => {
  const writes: string[] = []
  const client = { write: (bytes: Uint8Array) => writes.push(Buffer.from(bytes).toString('latin1')) }
  const publisher = new Publisher(client as unknown as Client, 'bench', 3)
  publisher.send(3)
  publisher.send(2)
  expect(writes.map((written) => written.match(/"id":"\d+"/g))).toEqual([
    ['"id":"00000000"', '"id":"00000001"', '"id":"00000002"'],
    ['"id":"00000003"', '"id":"00000004"'],
  ])
})

describe('cases', () => {
  test('have names that differ', () => {
    const all = [...CASES, ...CLUSTER_CASES]
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
  })

  test('are chosen by whole name first, else by its beginning, in the order of the report', () => {
    const chosen = (...only: string[]) => selectCases(only).map(({ name }) => name)
    expect(chosen()).toEqual(CASES.map(({ name }) => name))
    expect(chosen('echo')).toEqual(['echo'])
    expect(chosen('memory', 'fanout')).toEqual(['fanout-1000', 'fanout-10000', 'memory'])
    const ofCluster = (only: string) => selectCases([only], CLUSTER_CASES).map(({ name }) => name)
    expect(ofCluster('cluster-s')).toEqual(['cluster-stored', 'cluster-stored-keeping'])
    expect(ofCluster('cluster-stored')).toEqual(['cluster-stored'])
    expect(() => chosen('echos')).toThrow('no case is called echos')
  })
})

test('processor time and memory of a process are read from the kernel', () => {
  expect(cpuSeconds(process.pid)).toBeGreaterThan(0)
  expect(residentKiB(process.pid)).toBeGreaterThan(1000)
  expect(processorMs(process.pid)).toBeGreaterThan(0)
  expect(openFiles(process.pid)).toBeGreaterThan(2)
})

test('the children of a process are those that it has started and that have not ended', async () => {
  const child = Bun.spawn(['cat'], { stdin: 'pipe', stdout: 'ignore' })
  expect(childrenOf(process.pid)).toContain(child.pid)
  child.stdin.end()
  await child.exited
  expect(childrenOf(process.pid)).not.toContain(child.pid)
})

// Of iproute2, which is not everywhere; only the bench needs it.
test.skipIf(Bun.which('ss') === null)('bytes that a process has received are counted by ss', async () => {
  using server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { open: (socket) => void socket.write('x'.repeat(1000)), data() {} },
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  let received = 0
  const data = (_: unknown, chunk: Buffer): void => {
    received += chunk.length
    if (received === 1000) resolve()
  }
  const socket = await Bun.connect({ hostname: '127.0.0.1', port: server.port, socket: { data } })
  await promise
  expect(bytesReceived(process.pid, server.port)).toBe(1000)
  socket.end()
  expect(() => bytesReceived(process.pid, 1)).toThrow('no connection')
})
