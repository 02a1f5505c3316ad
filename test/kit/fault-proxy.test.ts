import { describe, expect, test } from 'bun:test'
import { connect, createServer, type Socket } from 'node:net'
import { FaultProxy } from './fault-proxy.ts'

/** A server that says everything back, behind a proxy. */
async function setUp() {
  const seen: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      seen.push(chunk)
      socket.write(chunk)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const proxy = await FaultProxy.start(`http://127.0.0.1:${port}`)
  return {
    proxy,
    /** What reached the server. */
    reached: () => Buffer.concat(seen).toString(),
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

class Peer {
  readonly socket: Socket
  received = ''
  readonly pieces: string[] = []
  /** `end` or the error's code. */
  readonly over: Promise<string>
  private waiting: (() => void)[] = []

  constructor(url: string) {
    this.socket = connect(Number(new URL(url).port), '127.0.0.1')
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString()
      this.pieces.push(chunk.toString())
      for (const wake of this.waiting.splice(0)) wake()
    })
    this.over = new Promise((resolve) => {
      this.socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
      this.socket.on('end', () => resolve('end'))
      this.socket.on('close', () => resolve('close'))
    })
  }

  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) await new Promise<void>((resolve) => this.waiting.push(resolve))
  }
}

describe('a healthy proxy', () => {
  test('passes everything on, in order', async () => {
    await using setting = await setUp()
    const peer = new Peer(setting.proxy.url)
    const text = Array.from({ length: 20_000 }, (_, index) => `${index},`).join('')
    peer.socket.write(`${text}end`)
    await peer.until('end')
    expect(peer.received).toBe(`${text}end`)
    expect(setting.proxy.open).toBe(1)
    peer.socket.destroy()
  })
})

test('what a server said before it went still arrives, however slow the line is', async () => {
  const server = createServer((socket) => socket.end('x'.repeat(5000)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  await using proxy = await FaultProxy.start(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
  proxy.set({ delayMs: 20, pieceBytes: 1000 })
  const peer = new Peer(proxy.url)
  expect(await peer.over).toBe('end')
  expect(peer.received).toHaveLength(5000)
  server.close()
})

describe('faults', () => {
  test('a cut resets what is open, and new connections work', async () => {
    await using setting = await setUp()
    const peer = new Peer(setting.proxy.url)
    peer.socket.write('a')
    await peer.until('a')
    expect(setting.proxy.cut()).toBe(1)
    expect(await peer.over).toBe('ECONNRESET')
    const next = new Peer(setting.proxy.url)
    next.socket.write('b')
    await next.until('b')
    expect(setting.proxy.accepted).toBe(2)
  })

  test('a hang-up ends in the ordinary way', async () => {
    await using setting = await setUp()
    const peer = new Peer(setting.proxy.url)
    peer.socket.write('a')
    await peer.until('a')
    setting.proxy.hangUp()
    expect(await peer.over).toBe('end')
  })

  test('a refused connection is reset', async () => {
    await using setting = await setUp()
    setting.proxy.set({ refuse: true })
    expect(['ECONNRESET', 'close']).toContain(await new Peer(setting.proxy.url).over)
    expect(setting.proxy.open).toBe(0)
  })

  test('a black hole takes in one direction and tells nobody', async () => {
    await using setting = await setUp()
    const peer = new Peer(setting.proxy.url)
    peer.socket.write('a')
    await peer.until('a')
    setting.proxy.set({ blackHole: 'up' })
    peer.socket.write('lost')
    while (setting.proxy.swallowed < 4) await Bun.sleep(1)
    setting.proxy.heal()
    peer.socket.write('b')
    await peer.until('b')
    expect(peer.received).toBe('ab')
    expect(setting.reached()).toBe('ab')
  })

  test('a connection is cut after exactly so many bytes', async () => {
    await using setting = await setUp()
    setting.proxy.set({ cutAfterBytes: 5 })
    const peer = new Peer(setting.proxy.url)
    peer.socket.write('abcdefgh')
    expect(await peer.over).not.toBe('end')
    expect('abcde').toStartWith(peer.received)
    expect(setting.reached()).toBe('abcdefgh')
  })

  test('a lost reply: the message came, and its answer did not', async () => {
    await using setting = await setUp()
    const peer = new Peer(setting.proxy.url)
    peer.socket.write('a')
    await peer.until('a')
    setting.proxy.dropReplyTo(/order/)
    peer.socket.write('order')
    expect(await peer.over).toBe('ECONNRESET')
    expect(peer.received).toBe('a')
    expect(setting.reached()).toBe('aorder')
    const next = new Peer(setting.proxy.url)
    next.socket.write('order')
    await next.until('order')
  })

  test('a delay keeps the order', async () => {
    await using setting = await setUp()
    setting.proxy.set({ delayMs: 15 })
    const peer = new Peer(setting.proxy.url)
    const begun = performance.now()
    for (const letter of 'abc') peer.socket.write(letter)
    await peer.until('c')
    expect(peer.received).toBe('abc')
    expect(performance.now() - begun).toBeGreaterThanOrEqual(29)
  })

  test('a throttle makes the sender wait, and loses nothing', async () => {
    await using setting = await setUp()
    setting.proxy.set({ bytesPerSecond: 1_000_000, pieceBytes: 1000 })
    const peer = new Peer(setting.proxy.url)
    const begun = performance.now()
    peer.socket.write(`${'x'.repeat(50_000)}end`)
    await peer.until('end')
    expect(peer.received).toHaveLength(50_003)
    expect(performance.now() - begun).toBeGreaterThanOrEqual(45)
  })
})
