import { afterEach, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Jwks } from '../../src/auth/jwks.ts'
import { createVerifier } from '../../src/auth/verify.ts'
import { claims, forgeSigned, NOW } from './forge.ts'
import { withJwks } from './options.ts'
import { INVALID, refusal } from './outcome.ts'

const MINUTE = 60_000
const first = generateKeyPairSync('ed25519')
const second = generateKeyPairSync('ed25519')
const jwk = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
const FIRST = { keys: [jwk(first.publicKey, 'k1')] }
const BOTH = { keys: [jwk(first.publicKey, 'k1'), jwk(second.publicKey, 'k2')] }
const k1 = forgeSigned(claims(), { alg: 'EdDSA', kid: 'k1' }, first.privateKey)
const k2 = forgeSigned(claims(), { alg: 'EdDSA', kid: 'k2' }, second.privateKey)

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** An identity provider that answers as it is told and counts how often it is asked. */
function issuer(answer: () => Response | Promise<Response>) {
  const state = { asked: 0, answer }
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    fetch() {
      state.asked++
      return state.answer()
    },
  })
  stops.push(() => void server.stop(true))
  return Object.assign(state, { url: `${server.url}jwks.json` })
}

/** A verifier of that issuer's tokens, with a clock that is moved by hand. */
function verifierOf(source: string) {
  const clock = { ms: 0 }
  const verifier = createVerifier(withJwks(source), { now: () => NOW, monotonic: () => clock.ms })
  stops.push(() => verifier.close?.())
  return Object.assign(verifier, { clock })
}

/** Waits for something that happens in the background. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1)
}

describe('a key set behind a URL', () => {
  test('is read once for many tokens', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await Promise.all(Array.from({ length: 50 }, () => verifier.verify(k1)))
    await verifier.verify(k1)
    expect(idp.asked).toBe(1)
  })

  test('is read again for a key it does not know: a rotation is noticed at once', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k1)
    idp.answer = () => Response.json(BOTH)
    verifier.clock.ms += 10_000
    expect((await verifier.verify(k2)).userId).toBe('alice')
    expect(idp.asked).toBe(2)
  })

  /** Otherwise anybody could make this server flood its own issuer, and be blocked by it. */
  test('is not read more than once in ten seconds, however many unknown keys are named', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k1)
    const hostile = (i: number) => forgeSigned(claims(), { alg: 'EdDSA', kid: `made-up-${i}` }, second.privateKey)
    const attack = () => Promise.all(Array.from({ length: 100 }, (_, i) => refusal(verifier.verify(hostile(i)))))
    for (const body of await attack()) expect(body).toEqual(INVALID)
    expect(idp.asked).toBe(1)
    verifier.clock.ms += 10_000
    await attack()
    expect(idp.asked).toBe(2)
  })

  test('is read again when it is ten minutes old, so that a withdrawn key ends', async () => {
    const idp = issuer(() => Response.json(BOTH))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k2)
    idp.answer = () => Response.json(FIRST)
    verifier.clock.ms += 10 * MINUTE - 1
    await verifier.verify(k2)
    verifier.clock.ms += 1
    expect(await refusal(verifier.verify(k2))).toEqual(INVALID)
    expect(idp.asked).toBe(2)
  })

  const failures: Record<string, () => Response | Promise<Response>> = {
    'says 500': () => new Response('down', { status: 500 }),
    'says 404 with a good set': () => Response.json(BOTH, { status: 404 }),
    'answers with a part': () => Response.json(BOTH, { status: 206 }),
    'answers HTML': () => new Response('<html>maintenance</html>'),
    'answers an empty set': () => Response.json({ keys: [] }),
    'answers a list': () => Response.json([FIRST.keys]),
    'answers more than 512 KiB': () => Response.json({ ...FIRST, padding: 'x'.repeat(600_000) }),
    'answers more than 512 KiB after decompression': () =>
      new Response(Bun.gzipSync(Buffer.from(JSON.stringify({ ...FIRST, padding: 'x'.repeat(600_000) }))), {
        headers: { 'content-encoding': 'gzip' },
      }),
    'answers what is not UTF-8': () => new Response(new Uint8Array([0x7b, 0xff, 0x7d])),
  }
  for (const [name, answer] of Object.entries(failures)) {
    test(`of an issuer that ${name} stays what it was`, async () => {
      const idp = issuer(() => Response.json(FIRST))
      const verifier = verifierOf(idp.url)
      await verifier.verify(k1)
      idp.answer = answer
      await expect(verifier.reload()).rejects.toThrow()
      expect(idp.asked).toBe(2)
      verifier.clock.ms += 60 * MINUTE
      expect((await verifier.verify(k1)).userId).toBe('alice')
    })
  }

  /** An open redirect at the issuer would let its finder bring keys of their own. */
  test('is not looked for where the issuer redirects to', async () => {
    const elsewhere = issuer(() => Response.json(BOTH))
    const idp = issuer(() => Response.redirect(elsewhere.url, 302))
    await expect(verifierOf(idp.url).reload()).rejects.toThrow('answered 302')
    expect(elsewhere.asked).toBe(0)
  })

  test('that could never be read makes tokens unverifiable for now, not invalid', async () => {
    const idp = issuer(() => new Response('down', { status: 503 }))
    const verifier = verifierOf(idp.url)
    const body = {
      code: 'RT_009',
      error_code: 'unavailable',
      message: 'Temporarily unavailable',
      reconnect: true,
    } as const
    expect(await refusal(verifier.verify(k1))).toEqual(body)
    expect(await refusal(verifier.verify(k1))).toEqual(body)
    expect(idp.asked).toBe(1)
    idp.answer = () => Response.json(FIRST)
    verifier.clock.ms += 10_000
    expect((await verifier.verify(k1)).userId).toBe('alice')
  })

  /** Every handshake would hang for as long as the issuer does. */
  test('of an issuer that fails and then hangs is used without waiting for it', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k1)
    idp.answer = () => new Response('down', { status: 500 })
    verifier.clock.ms += 11 * MINUTE
    await verifier.verify(k1)
    idp.answer = () => new Promise(() => {})
    verifier.clock.ms += 11 * MINUTE
    expect((await verifier.verify(k1)).userId).toBe('alice')
    await until(() => idp.asked === 3)
    expect((await verifier.verify(k1)).userId).toBe('alice')
  })

  test('comes back by itself when its issuer does', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k1)
    idp.answer = () => new Response('down', { status: 500 })
    verifier.clock.ms += 11 * MINUTE
    await verifier.verify(k1)
    idp.answer = () => Response.json(BOTH)
    verifier.clock.ms += 10_000
    await verifier.verify(k1)
    await until(() => idp.asked === 3)
    expect((await verifier.verify(k2)).userId).toBe('alice')
  })

  test('is read anew by reload, also within the ten seconds', async () => {
    const idp = issuer(() => Response.json(FIRST))
    const verifier = verifierOf(idp.url)
    await verifier.verify(k1)
    idp.answer = () => Response.json(BOTH)
    await verifier.reload()
    expect((await verifier.verify(k2)).userId).toBe('alice')
  })

  test('is read by reload after a read that had begun before', async () => {
    const held = Promise.withResolvers<Response>()
    const idp = issuer(() => held.promise)
    const verifier = verifierOf(idp.url)
    const verified = verifier.verify(k1)
    await until(() => idp.asked === 1)
    const reloaded = verifier.reload()
    idp.answer = () => Response.json(BOTH)
    held.resolve(Response.json(FIRST))
    await verified
    await reloaded
    expect(idp.asked).toBe(2)
    expect((await verifier.verify(k2)).userId).toBe('alice')
  })

  test('that hangs is let go by close', async () => {
    const idp = issuer(() => new Promise(() => {}))
    const jwks = new Jwks(idp.url)
    const reading = jwks.reload()
    await until(() => idp.asked === 1)
    jwks.close()
    await expect(reading).rejects.toThrow()
  })
})

describe('a key set in a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-jwks-'))
  const path = join(folder, 'jwks.json')
  afterEach(() => rmSync(path, { force: true }))
  const write = (set: unknown) => writeFileSync(path, JSON.stringify(set))

  test('is read, and read again for an unknown key and by reload', async () => {
    write(FIRST)
    const verifier = verifierOf(path)
    expect((await verifier.verify(k1)).userId).toBe('alice')
    write(BOTH)
    expect(await refusal(verifier.verify(k2))).toEqual(INVALID)
    verifier.clock.ms += 10_000
    expect((await verifier.verify(k2)).userId).toBe('alice')
    write(FIRST)
    await verifier.reload()
    expect(await refusal(verifier.verify(k2))).toEqual(INVALID)
  })

  test('that is missing is named by reload', async () => {
    await expect(verifierOf(path).reload()).rejects.toThrow(`no such file: ${path}`)
  })

  test('that is larger than a key set can be is not read', async () => {
    write({ ...FIRST, padding: 'x'.repeat(600_000) })
    await expect(verifierOf(path).reload()).rejects.toThrow('larger than')
  })
})
