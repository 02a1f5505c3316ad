/** What every store of revocations keeps to. A backend's test calls {@link revocationsContract} with a way to open it. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Revocations } from '../../src/core/ports/revocations.ts'
import { type Revocation, Scopes, WHENEVER } from '../../src/core/revocation.ts'
import { until } from '../support/until.ts'

export interface RevocationsHarness {
  readonly store: Revocations
  /** The same after a restart. */
  again(): Promise<Revocations>
  /** Lets the store forget what is past its time. */
  prune(): unknown
  dispose(): Promise<void>
}

const HOUR_MS = 3_600_000
const soon = () => Date.now() + HOUR_MS

export function revocationsContract(name: string, createHarness: () => Promise<RevocationsHarness>): void {
  describe(name, () => {
    let harness: RevocationsHarness
    beforeEach(async () => {
      harness = await createHarness()
    })
    afterEach(() => harness.dispose())

    const allOf = async (store: Revocations) =>
      [...((await store.all())?.revocations ?? [])].sort((a, b) => (a.scope < b.scope ? -1 : 1))

    test('has nothing at first', async () => {
      expect(await harness.store.all()).toEqual({ version: expect.any(String), revocations: [] })
    })

    test('gives back what was added, whatever it is about, also after a restart', async () => {
      const until = soon()
      const added: Revocation[] = [
        { scope: Scopes.all, issuedBefore: 17, until },
        { scope: Scopes.device('älïce "\' 🙂', 'd:1'), issuedBefore: 0, until },
        { scope: Scopes.token('version'), issuedBefore: WHENEVER, until },
        { scope: Scopes.user('x'.repeat(256)), issuedBefore: 1_700_000_000_123, until },
      ]
      for (const each of added) await harness.store.add(each)
      expect(await allOf(harness.store)).toEqual(added)
      expect(await allOf(await harness.again())).toEqual(added)
    })

    test('widens one of the same scope, and never narrows it', async () => {
      const scope = Scopes.user('alice')
      const until = soon()
      await harness.store.add({ scope, issuedBefore: 5, until })
      await harness.store.add({ scope, issuedBefore: 7, until: until - 1 })
      await harness.store.add({ scope, issuedBefore: 3, until: until + 1 })
      expect(await allOf(harness.store)).toEqual([{ scope, issuedBefore: 7, until: until + 1 }])
    })

    test('says nothing to whoever knows the present version', async () => {
      const first = await harness.store.all()
      const change = await harness.store.add({ scope: Scopes.all, issuedBefore: 1, until: soon() })
      expect(change.before).toBe(first?.version as string)
      expect(await harness.store.all(change.version)).toBeUndefined()
      expect(await harness.store.all(change.before)).toMatchObject({ version: change.version })
    })

    test('keeps all that are added at once, each with a version of its own', async () => {
      const scopes = Array.from({ length: 1200 }, (_, n) => Scopes.token(`t${n}`))
      const until = soon()
      const changes = await Promise.all(
        scopes.map((scope) => harness.store.add({ scope, issuedBefore: WHENEVER, until })),
      )
      expect(new Set(changes.map(({ version }) => version)).size).toBe(scopes.length)
      expect((await allOf(harness.store)).map(({ scope }) => scope)).toEqual(scopes.toSorted())
    })

    test('forgets what is long past its time', async () => {
      const kept = { scope: Scopes.token('kept'), issuedBefore: WHENEVER, until: soon() }
      await harness.store.add(kept)
      for (let n = 0; n < 10; n++) {
        await harness.store.add({
          scope: Scopes.token(`over${n}`),
          issuedBefore: WHENEVER,
          until: Date.now() - HOUR_MS,
        })
      }
      await until(async () => {
        await harness.prune()
        return (await allOf(harness.store)).length === 1
      })
      expect(await allOf(harness.store)).toEqual([kept])
    })
  })
}
