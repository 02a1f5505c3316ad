import { describe, expect, test } from 'bun:test'
import { Outbox, type Outgoing } from '../../src/client/outbox.ts'
import { FakeClock, settle } from './fakes.ts'

const AGAIN = { timeoutMs: 60_000, again: true }
const ONCE = { timeoutMs: 60_000, again: false }

function setUp({ maxQueued = 1000 } = {}) {
  const clock = new FakeClock()
  const outbox = new Outbox(clock, maxQueued)
  const sent: string[] = []
  const outcomes: string[] = []
  const write = (frame: Outgoing): void => {
    sent.push(frame.id)
  }
  const send = (id: string, options = AGAIN): void => {
    outbox.send({ type: 'chat', id }, options).then(
      (answer) => outcomes.push(`${id} ${answer.type}`),
      (error) => outcomes.push(`${id} ${error.reason}${error.maybeDone ? ', maybe done' : ''}`),
    )
  }
  const ack = (id: string): string | undefined => outbox.settle({ type: 'ack', correlation_id: id, timestamp: 1 })
  const refuse = (id: string, payload: object): unknown =>
    outbox.settle({ type: 'error', correlation_id: id, payload, timestamp: 1 })
  return { clock, outbox, sent, outcomes, write, send, ack, refuse }
}

describe('messages wait for a connection', () => {
  test('and go out in order when there is one', () => {
    const { outbox, sent, write, send } = setUp()
    for (const id of ['a', 'b', 'c']) send(id)
    expect(sent).toEqual([])
    outbox.attach(write)
    expect(sent).toEqual(['a', 'b', 'c'])
  })

  test('up to a number, beyond which they are refused at once', async () => {
    const { outcomes, send } = setUp({ maxQueued: 2 })
    for (const id of ['a', 'b', 'c']) send(id)
    await settle()
    expect(outcomes).toEqual(['c queue_full'])
  })

  test('no longer than their time', async () => {
    const { clock, outbox, outcomes, sent, write, send } = setUp()
    send('a', { timeoutMs: 500, again: true })
    await clock.advance(500)
    outbox.attach(write)
    expect(outcomes).toEqual(['a timeout'])
    expect(sent).toEqual([])
  })
})

describe('when the connection is lost', () => {
  test('what may be said twice is said again first, with its id, before what has waited', async () => {
    const { outbox, sent, outcomes, write, send, ack } = setUp()
    outbox.attach(write)
    for (const id of ['a', 'b', 'c']) send(id)
    ack('b')
    outbox.detach()
    send('d')
    sent.length = 0
    outbox.attach(write)
    await settle()
    expect(sent).toEqual(['a', 'c', 'd'])
    expect(outcomes).toEqual(['b ack'])
  })

  test('what may not be said twice has an unknown end, unless it was never sent', async () => {
    const { outbox, sent, outcomes, write, send } = setUp()
    outbox.attach(write)
    send('sent', ONCE)
    outbox.detach()
    send('waiting', ONCE)
    await settle()
    expect(outcomes).toEqual(['sent connection_lost, maybe done'])
    outbox.attach(write)
    expect(sent).toEqual(['sent', 'waiting'])
  })

  test('nothing is said again when the server may have forgotten its id', async () => {
    const { clock, outbox, outcomes, write, send } = setUp()
    const patient = { timeoutMs: 600_000, again: true }
    outbox.attach(write)
    send('early', patient)
    await clock.advance(60_000)
    send('late', patient)
    await clock.advance(40_000)
    outbox.detach()
    await settle()
    expect(outcomes).toEqual(['early connection_lost, maybe done'])
  })
})

describe('an answer', () => {
  test('settles the message it names, whatever order answers come in', async () => {
    const { outbox, outcomes, write, send, ack, refuse } = setUp()
    outbox.attach(write)
    for (const id of ['a', 'b']) send(id)
    expect(ack('b')).toBe('chat')
    refuse('a', { code: 'RT_003', error_code: 'forbidden', message: 'no', reconnect: false })
    expect(ack('b')).toBeUndefined()
    expect(ack('unknown')).toBeUndefined()
    await settle()
    expect(outcomes).toEqual(['b ack', 'a forbidden'])
  })

  test('too late is a timeout that may have been done', async () => {
    const { clock, outbox, outcomes, write, send, ack } = setUp()
    outbox.attach(write)
    send('a')
    await clock.advance(60_000)
    expect(ack('a')).toBeUndefined()
    expect(outcomes).toEqual(['a timeout, maybe done'])
    expect(clock.pending).toBe(0)
  })
})

describe('a server that throttles', () => {
  test('is sent nothing for as long as it says, and the refused message again', async () => {
    const { clock, outbox, sent, outcomes, write, send, ack, refuse } = setUp()
    outbox.attach(write)
    send('a')
    refuse('a', { code: 'RT_006', error_code: 'rate_limited', message: 'slow', reconnect: true, retry_after_ms: 700 })
    send('b')
    await clock.advance(699)
    expect(sent).toEqual(['a'])
    await clock.advance(1)
    expect(sent).toEqual(['a', 'a', 'b'])
    ack('a')
    await settle()
    expect(outcomes).toEqual(['a ack'])
  })

  test('that warns is sent nothing either', async () => {
    const { clock, outbox, sent, write, send } = setUp()
    outbox.attach(write)
    outbox.pause(300)
    outbox.pause(100)
    send('a')
    await clock.advance(299)
    expect(sent).toEqual([])
    await clock.advance(1)
    expect(sent).toEqual(['a'])
  })

  test('has a burst of its own: no more than 64 wait for their answer on a connection', () => {
    const { outbox, sent, write, send, ack } = setUp()
    for (let index = 0; index < 100; index++) send(`m${index}`)
    outbox.attach(write)
    expect(sent).toHaveLength(64)
    ack('m0')
    ack('m5')
    expect(sent.slice(64)).toEqual(['m64', 'm65'])
    outbox.detach()
    sent.length = 0
    outbox.attach(write)
    expect(sent).toHaveLength(64)
  })
})

test('before a change of connection nothing new goes out', () => {
  const { outbox, sent, write, send } = setUp()
  outbox.attach(write)
  send('a', ONCE)
  expect(outbox.fragile).toBe(true)
  outbox.hold()
  send('b')
  expect(sent).toEqual(['a'])
  outbox.release()
  expect(sent).toEqual(['a', 'b'])
})

describe('the rate that the server announces', () => {
  const LIMITS = { messages_per_second: 10, burst: 11 }

  test('is kept to: most of the burst at once, then one by one', async () => {
    const { clock, outbox, sent, write, send, ack } = setUp()
    for (let n = 0; n < 20; n++) send(`m${n}`)
    outbox.attach(write, LIMITS)
    expect(sent).toHaveLength(9)
    for (let n = 0; n < 9; n++) ack(`m${n}`)
    expect(sent).toHaveLength(9)
    await clock.advance(99)
    expect(sent).toHaveLength(9)
    await clock.advance(1)
    expect(sent).toHaveLength(10)
    await clock.advance(500)
    expect(sent).toHaveLength(15)
  })

  test('begins anew on each connection, and is none where the server has none', () => {
    const { outbox, sent, write, send } = setUp()
    for (let n = 0; n < 20; n++) send(`m${n}`)
    outbox.attach(write, LIMITS)
    outbox.detach()
    sent.length = 0
    outbox.attach(write, LIMITS)
    expect(sent).toHaveLength(9)
    outbox.detach()
    sent.length = 0
    outbox.attach(write, { messages_per_second: 0, burst: 0 })
    expect(sent).toHaveLength(20)
  })

  test('is what is left when the server had to refuse: not everything again at once', async () => {
    const { clock, outbox, sent, write, send, refuse } = setUp()
    for (let n = 0; n < 9; n++) send(`m${n}`)
    outbox.attach(write, LIMITS)
    const error = { code: 'RT_006', error_code: 'rate_limited', message: 'slow', reconnect: true, retry_after_ms: 50 }
    for (let n = 0; n < 9; n++) refuse(`m${n}`, error)
    sent.length = 0
    await clock.advance(50)
    expect(sent).toEqual(['m0'])
    await clock.advance(100)
    expect(sent).toEqual(['m0', 'm1'])
  })
})

// A real timer leaves fractions of a millisecond out.
test('a pause ends though its timer is a little early', async () => {
  const { clock, outbox, sent, write, send } = setUp()
  outbox.attach(write)
  const { set } = clock
  clock.set = (run, ms) => set.call(clock, run, Math.floor(ms))
  outbox.pause(10.7)
  send('a')
  await clock.advance(10)
  expect(sent).toEqual(['a'])
})

test('what cannot be written down is refused, and what waits behind it goes out', async () => {
  const { outbox, sent, outcomes, write, send } = setUp()
  for (const id of ['a', 'b', 'c']) send(id)
  outbox.attach((frame) => {
    if (frame.id === 'b') outbox.refuse('b', { reason: 'too odd' })
    else write(frame)
  })
  await settle()
  expect(sent).toEqual(['a', 'c'])
  expect(outcomes).toEqual(['b too odd'])
})
