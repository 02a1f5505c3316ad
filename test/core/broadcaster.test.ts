import { describe, expect, test } from 'bun:test'
import { Broadcaster } from '../../src/core/broadcaster.ts'
import { Message } from '../../src/core/message.ts'
import type { Session } from '../../src/core/session.ts'
import { SLICE_MEMBERS, Topic } from '../../src/core/topic.ts'
import type { NativeTopics } from '../../src/core/wire.ts'
import type { Encoded } from '../../src/protocol/encoding.ts'
import { FakeClock } from '../support/clock.ts'
import { makeSession, RecordingWire } from '../support/sessions.ts'

/** A runtime whose topics are known to the test: a publish reaches the wires that are subscribed at that moment. */
class Runtime implements NativeTopics {
  readonly wires: RecordingWire[] = []
  readonly publishes: string[] = []
  flowing = true

  publish(topic: string, data: Encoded, except?: RecordingWire): boolean {
    this.publishes.push(topic)
    for (const wire of this.wires) if (wire !== except && wire.topics.has(topic)) wire.send(data)
    return this.flowing
  }
}

function place() {
  const runtime = new Runtime()
  const pressure: number[] = []
  const broadcaster = new Broadcaster(runtime, (bytes) => void pressure.push(bytes))
  const topic = new Topic('r:lobby', 'lobby')
  const clock = new FakeClock()
  const join = (native = true): Session & { wire: RecordingWire } => {
    const wire = new RecordingWire(native)
    wire.publish = ((name: string, data: Encoded) => runtime.publish(name, data, wire)) as RecordingWire['publish']
    runtime.wires.push(wire)
    const session = makeSession(clock, {}, wire)
    topic.subscribe(session)
    return session
  }
  return { runtime, pressure, broadcaster, topic, join }
}

const message = (n: number) => new Message({ type: 'n', payload: n, timestamp: 0 })
const heard = ({ wire }: { wire: RecordingWire }) => wire.frames.map(({ payload }) => payload as number)
const turn = () => new Promise((resolve) => setImmediate(resolve))

async function settle(done: () => boolean): Promise<number> {
  let turns = 0
  for (; !done(); turns++) await turn()
  return turns
}

describe('a small topic', () => {
  test('is served at once, its sender left out, and says that it is done before the call returns', () => {
    const { broadcaster, topic, join } = place()
    const [sender, member, looped] = [join(), join(), join(false)]
    let done = false
    broadcaster.publish(topic, message(1), sender, () => {
      done = true
    })
    expect([done, heard(sender), heard(member), heard(looped)]).toEqual([true, [], [1], [1]])
  })

  test('counts for its members what was sent to them', () => {
    const { broadcaster, topic, join } = place()
    const [sender, member] = [join(), join()]
    for (const n of [1, 2, 3]) broadcaster.publish(topic, message(n), sender)
    expect([sender.framesSent, member.framesSent]).toEqual([0, 3])
    topic.unsubscribe(member)
    broadcaster.publish(topic, message(4), undefined)
    expect([sender.framesSent, member.framesSent]).toEqual([1, 3])
  })
})

describe('a big topic', () => {
  const crowd = (count: number) => {
    const at = place()
    return { ...at, members: Array.from({ length: count }, (_, n) => at.join(n % 10 !== 0)) }
  }

  test('is served a slice a turn, and everybody hears everything in order, but not the sender', async () => {
    const { broadcaster, topic, members } = crowd(1000)
    const [sender = members[1]] = members.filter(({ wire }) => wire.native)
    let finished = 0
    for (let n = 0; n < 20; n++) broadcaster.publish(topic, message(n), n % 2 ? sender : undefined, () => finished++)
    expect(members.flatMap(heard)).toEqual([])
    const turns = await settle(() => finished === 20)
    expect(turns).toBeGreaterThanOrEqual(1000 / SLICE_MEMBERS)
    const all = [...Array(20).keys()]
    for (const member of members)
      expect(heard(member)).toEqual(member === sender ? all.filter((n) => n % 2 === 0) : all)
  })

  test('lets others speak between its slices', async () => {
    const { broadcaster, topic, members, runtime } = crowd(2000)
    let finished = false
    broadcaster.publish(topic, message(1), undefined, () => {
      finished = true
    })
    await turn()
    const small = new Topic('r:small', 'small')
    const other = makeSession(new FakeClock())
    runtime.wires.push(other.wire)
    small.subscribe(other)
    broadcaster.publish(small, message(7), undefined)
    expect([heard(other), finished]).toEqual([[7], false])
    await settle(() => finished)
    expect(members.every((member) => heard(member).length === 1)).toBe(true)
  })

  // Its position says that it has everything from its join on.
  test('gives a newcomer what is published after it joined, once, also in the middle of a round', async () => {
    const { broadcaster, topic, join } = crowd(1200)
    let finished = 0
    for (let n = 0; n < 3; n++) broadcaster.publish(topic, message(n), undefined, () => finished++)
    const newcomers: ReturnType<typeof join>[] = []
    const after: number[][] = []
    for (let n = 3; n < 12; n++) {
      await turn()
      newcomers.push(join(n % 2 === 0))
      after.push(Array.from({ length: 12 - n }, (_, k) => n + k))
      broadcaster.publish(topic, message(n), undefined, () => finished++)
    }
    await settle(() => finished === 12)
    for (const [index, newcomer] of newcomers.entries()) {
      const got = heard(newcomer)
      expect(got.slice(-(after[index]?.length ?? 0))).toEqual(after[index] ?? [])
      expect([...new Set(got)]).toEqual(got)
      expect([...got].sort((a, b) => a - b)).toEqual(got)
    }
  })

  test('sends nothing to who has left, and leaves no slice behind when all have', async () => {
    const { broadcaster, topic, members } = crowd(600)
    let finished = 0
    broadcaster.publish(topic, message(1), undefined, () => finished++)
    await turn()
    const gone = members.splice(300)
    const before = gone.map((member) => heard(member).length)
    for (const member of gone) topic.unsubscribe(member)
    broadcaster.publish(topic, message(2), undefined, () => finished++)
    await settle(() => finished === 2)
    expect(gone.map((member) => heard(member).length)).toEqual(before)
    for (const member of members) expect(heard(member)).toEqual([1, 2])
    for (const member of members) topic.unsubscribe(member)
    expect(topic.size).toBe(0)
    expect(topic.channels.every((channel) => channel === undefined || channel.slices.every((n) => n === 0))).toBe(true)
  })

  // The delivery line does so, and while it did, whatever waited for the topic pushed the new message out: it was lost, and
  // the line of the whole server waited for it for ever.
  test('takes what is published because another message is out, behind what waits already', async () => {
    const { broadcaster, topic, members } = crowd(600)
    let finished = 0
    const publish = (n: number, next?: number) =>
      broadcaster.publish(topic, message(n), undefined, () => {
        finished++
        if (next !== undefined) publish(next)
      })
    publish(1, 3)
    await turn()
    publish(2, 4)
    for (let turns = 0; turns < 50; turns++) await turn()
    expect(finished).toBe(4)
    for (const member of members) expect(heard(member)).toEqual([1, 2, 3, 4])
  })

  test('takes so many waiting messages and no more', async () => {
    const { broadcaster, topic } = crowd(300)
    let waiting = 0
    while (broadcaster.accepts(topic)) {
      broadcaster.publish(topic, message(waiting), undefined)
      waiting++
    }
    expect(waiting).toBe(4096)
    await settle(() => broadcaster.accepts(topic))
  })

  test('writes at most a quarter of a mebibyte a round, so that who reads is not taken for slow', async () => {
    const { broadcaster, topic, members } = crowd(300)
    const big = new Message({ type: 'n', payload: 'x'.repeat(100_000), timestamp: 0 })
    let finished = 0
    for (let n = 0; n < 6; n++) broadcaster.publish(topic, big, undefined, () => finished++)
    await turn()
    expect(members[1]?.wire.frames.length).toBeLessThanOrEqual(2)
    await settle(() => finished === 6)
    expect(members.every(({ wire }) => wire.frames.length === 6)).toBe(true)
  })

  test('hears of a message that cannot be encoded before anybody has', async () => {
    const { broadcaster, topic, members } = crowd(300)
    let finished = false
    const bad = new Message({ type: 'n', payload: 10n, timestamp: 0 })
    expect(() => broadcaster.publish(topic, bad, undefined)).toThrow('BigInt')
    broadcaster.publish(topic, message(1), undefined, () => {
      finished = true
    })
    await settle(() => finished)
    for (const member of members) expect(heard(member)).toEqual([1])
    expect(members[1]?.framesSent).toBe(1)
  })

  test('hears of it too where all its members are written to one by one', () => {
    const { broadcaster, topic, join } = place()
    for (let n = 0; n < 300; n++) join(false)
    const bad = new Message({ type: 'n', payload: 10n, timestamp: 0 })
    expect(() => broadcaster.publish(topic, bad, undefined)).toThrow('BigInt')
  })
})

test('pressure is told with the bytes that met it', () => {
  const { broadcaster, topic, join, runtime, pressure } = place()
  join()
  broadcaster.publish(topic, message(1), undefined)
  runtime.flowing = false
  broadcaster.publish(topic, message(1), undefined)
  expect(pressure).toEqual(['{"type":"n","payload":1,"timestamp":0}'.length])
})
