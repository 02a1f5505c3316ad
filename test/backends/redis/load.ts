/**
 * Publishers and listeners on several instances with the accounting of distributed tests: every publish is ok, failed or
 * unknown. Only what is ok may not be lost, only what was tried may appear, nothing appears twice, and the order is one.
 */
import { expect } from 'bun:test'
import type { Appended } from '../../../src/core/ports/log.ts'
import type { Instance } from './support.ts'

export interface Try {
  readonly topic: string
  readonly body: string
  readonly publisher: string
  outcome: 'pending' | 'ok' | 'failed'
  appended?: Appended
}

export class Load {
  readonly tries: Try[] = []
  private readonly instances: readonly Instance[]
  private readonly topics: readonly string[]
  private running: Promise<void>[] = []
  private stopping = false
  private counter = 0

  constructor(instances: readonly Instance[], topics: readonly string[]) {
    this.instances = instances
    this.topics = topics
  }

  get ok(): number {
    return this.tries.filter(({ outcome }) => outcome === 'ok').length
  }

  get failed(): number {
    return this.tries.filter(({ outcome }) => outcome === 'failed').length
  }

  /** Starts publishers on every instance, each of which waits for its acknowledgement. */
  start(publishersPerInstance: number): void {
    for (const [n, instance] of this.instances.entries()) {
      for (let m = 0; m < publishersPerInstance; m++) this.running.push(this.publish(instance, `${n}.${m}`))
    }
  }

  /** Waits until so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const target = this.ok + count
    const deadline = performance.now() + 30_000
    while (this.ok < target) {
      if (performance.now() > deadline) throw new Error(`only ${this.ok} of ${target} publishes were acknowledged`)
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  }

  async stop(): Promise<void> {
    this.stopping = true
    await Promise.all(this.running)
  }

  /** Publishes one more message to each topic by each instance, and waits until every instance has been told of it. */
  async settle(): Promise<void> {
    await this.stop()
    const last = this.topics.map((topic) => ({ topic, body: `end ${topic}` }))
    for (const { topic, body } of last) {
      const deadline = performance.now() + 30_000
      for (;;) {
        try {
          await this.instances[0]?.publish(topic, body, { idempotency: { scope: 'end', key: topic } })
          break
        } catch (error) {
          if (performance.now() > deadline) throw error
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
    }
    const deadline = performance.now() + 30_000
    const isMissing = (): boolean =>
      this.instances.some(({ told }) => last.some(({ body }) => !told.some((message) => message.body === body)))
    while (isMissing()) {
      if (performance.now() > deadline) throw new Error('an instance was not told of the last messages')
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  /** @param complete every instance was told of everything; else it may have been told of a gap instead. */
  check({ complete }: { complete: boolean }): void {
    const tried = new Set(this.tries.map(({ body }) => body))
    for (const { told, gaps } of this.instances) {
      const cursors = told.map(({ cursor }) => cursor)
      expect(cursors).toEqual([...new Set(cursors)].sort((a, b) => a - b))
      const bodies = told.map(({ body }) => body).filter((body) => !body.startsWith('end '))
      expect(new Set(bodies).size).toBe(bodies.length)
      expect(bodies.filter((body) => !tried.has(body))).toEqual([])
      for (const publisher of new Set(this.tries.map((each) => each.publisher))) {
        const numbers = bodies
          .filter((body) => body.startsWith(`${publisher} `))
          .map((body) => Number(body.split(' ')[1]))
        expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
      }
      if (!complete) continue
      expect(gaps).toEqual([])
      const seen = new Set(bodies)
      expect(this.tries.filter(({ outcome, body }) => outcome === 'ok' && !seen.has(body))).toEqual([])
    }
    const [first, ...others] = this.instances.map(({ told }) => told.map(({ body, cursor }) => `${cursor} ${body}`))
    if (complete) for (const other of others) expect(other).toEqual(first as string[])
  }

  private async publish(instance: Instance, publisher: string): Promise<void> {
    for (let n = 0; !this.stopping; n++) {
      const topic = this.topics[this.counter++ % this.topics.length] as string
      const attempt: Try = { topic, body: `${publisher} ${n}`, publisher, outcome: 'pending' }
      this.tries.push(attempt)
      const idempotency = { scope: publisher, key: `${n}` }
      try {
        attempt.appended = await instance.publish(topic, attempt.body, { idempotency })
        attempt.outcome = 'ok'
      } catch {
        attempt.outcome = 'failed'
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }
}
