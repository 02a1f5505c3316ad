import { afterEach, describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { newSecret } from '../../src/config.ts'
import { tidings } from '../../src/index.ts'
import { ADMIN_KEY, ask, refused, told } from './api.ts'
import { raw, request } from './raw.ts'

const CONFIG = {
  auth: { secret: newSecret() },
  store: { path: ':memory:' },
  admin: { keys: [ADMIN_KEY] },
  log: { level: 'error' },
} as const

let host: { stop(): Promise<unknown> } | undefined
afterEach(async () => {
  await host?.stop()
  host = undefined
})

function listen(app: Elysia): string {
  // biome-ignore lint/suspicious/noExplicitAny: an application with routes has another type than one without.
  const listening = (app as any).listen({ port: 0, hostname: '127.0.0.1', reusePort: false })
  host = { stop: () => listening.stop(true) }
  return `http://127.0.0.1:${listening.server.port}`
}

describe("in somebody's application", () => {
  test('its routes are there, guarded and in their own words', async () => {
    const url = listen(new Elysia().use(tidings({ config: CONFIG })) as unknown as Elysia)
    expect(await told(url, 'GET', '/realtime/connections')).toEqual({ status: 200, body: { items: [], next: null } })
    expect(await refused(url, 'GET', '/realtime/connections?limit=0', { token: null })).toMatchObject({
      status: 401,
      error: { code: 'RT_002', error_code: 'invalid_token' },
    })
    expect(await refused(url, 'GET', '/realtime/connections?limit=0')).toMatchObject({
      status: 400,
      error: { code: 'RT_004' },
    })
    expect(await refused(url, 'PUT', '/realtime/connections', { token: null })).toMatchObject({ status: 401 })
    expect(await refused(url, 'POST', '/realtime/publish', { body: '{' })).toMatchObject({ status: 400 })
    expect(await refused(url, 'GET', '/realtime/me', { token: null })).toMatchObject({ status: 403 })
    expect(await refused(url, 'GET', '/realtime')).toMatchObject({
      status: 426,
      error: { error_code: 'upgrade_required' },
    })
  })

  test("the host's routes, errors and answers stay the host's", async () => {
    const app = new Elysia()
      .use(tidings({ config: CONFIG }))
      .get('/page', () => ({ hello: 'world' }))
      .get('/broken', () => {
        throw new Error('the own error of the host')
      })
    const url = listen(app as unknown as Elysia)
    const page = await fetch(`${url}/page`)
    expect({ text: await page.text(), nosniff: page.headers.get('x-content-type-options') }).toEqual({
      text: '{"hello":"world"}',
      nosniff: null,
    })
    const broken = await fetch(`${url}/broken`)
    expect({ status: broken.status, text: await broken.text() }).toEqual({
      status: 500,
      text: 'the own error of the host',
    })
    const missing = await fetch(`${url}/nowhere`)
    expect({ status: missing.status, text: await missing.text() }).toEqual({ status: 404, text: 'NOT_FOUND' })
    expect((await fetch(`${url}/socket.io/`)).status).toBe(404)
    // The host has its own description of its routes, and may list ours in it.
    expect((await fetch(`${url}/swagger`)).status).toBe(404)
  })

  test("the host's own handling of errors sees its own errors", async () => {
    const seen: string[] = []
    const app = new Elysia()
      .onError(({ error, code }) => {
        seen.push(code === 'NOT_FOUND' ? code : String((error as Error).message))
      })
      .use(tidings({ config: CONFIG }))
      .get('/broken', () => {
        throw new Error('the own error of the host')
      })
    const url = listen(app as unknown as Elysia)
    await fetch(`${url}/broken`)
    await fetch(`${url}/nowhere`)
    expect(seen).toEqual(['the own error of the host', 'NOT_FOUND'])
    expect(await refused(url, 'GET', '/realtime/users/a', { token: null })).toMatchObject({ status: 401 })
  })

  // By default the host's router looks for the path from the eleventh character of the URL.
  test('a short host reaches nothing that is guarded', async () => {
    const url = listen(new Elysia().use(tidings({ config: CONFIG })) as unknown as Elysia)
    for (const path of [
      '/xx/realtime/connections',
      '/x/realtime/connections',
      '/xxxxxx/realtime/connections?all=true',
    ]) {
      for (const method of ['GET', 'DELETE']) {
        const { status } = await raw(url, request(`${method} ${path}`, 'Host: h'))
        expect([401, 404]).toContain(status)
      }
    }
  })

  test('an answer of the host to /realtime/… that it made before us goes on', async () => {
    const app = new Elysia().get('/realtime/own', () => 'mine').use(tidings({ config: CONFIG }))
    const url = listen(app as unknown as Elysia)
    expect(await (await fetch(`${url}/realtime/own`)).text()).toBe('mine')
    expect((await ask(url, 'GET', '/realtime/other')).status).toBe(404)
  })
})
