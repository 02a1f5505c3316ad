import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { version } from '../../package.json'
import { startTestServer, type TestServer } from '../../src/testing/index.ts'
import { ADMIN_KEY, ask } from './api.ts'

type Operation = {
  operationId: string
  security?: object[]
  parameters?: { name: string; in: string; required: boolean; description?: string; schema: object }[]
  requestBody?: { content: object }
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>
}
interface Document {
  info: { version: string }
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, object>; securitySchemes: Record<string, object> }
}

let server: TestServer
let document: Document
beforeAll(async () => {
  server = await startTestServer({ config: { admin: { keys: [ADMIN_KEY] } } })
  document = (await ask(server.url, 'GET', '/swagger/json', { token: null })).body as Document
})
afterAll(() => server[Symbol.asyncDispose]())

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

function operationOf(method: string, path: string): Operation {
  const found = operations().find((candidate) => candidate.path === path && candidate.method === method)
  if (found === undefined) throw new Error(`the description lacks ${method} ${path}`)
  return found.operation
}

describe('the description', () => {
  test('is OpenAPI 3.0, to the letter', async () => {
    const { valid, errors } = await new Validator().validate(JSON.parse(JSON.stringify(document)))
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
    expect(document.info.version).toBe(version)
  })

  test('lists what there is, and nothing that is not there yet', () => {
    expect(
      operations()
        .map(({ path, method }) => `${method.toUpperCase()} ${path}`)
        .sort(),
    ).toEqual([
      'DELETE /realtime/connections',
      'DELETE /realtime/connections/{id}',
      'GET /api/websocket/status',
      'GET /healthz',
      'GET /readyz',
      'GET /realtime',
      'GET /realtime/connections',
      'GET /realtime/connections/{id}',
      'GET /realtime/me',
      'GET /realtime/poll',
      'GET /realtime/rooms',
      'GET /realtime/rooms/{room}',
      'GET /realtime/rooms/{room}/history',
      'GET /realtime/sse',
      'GET /realtime/users/{user_id}',
      'POST /realtime/drain',
      'POST /realtime/publish',
      'POST /realtime/publish/batch',
      'POST /realtime/send',
      'POST /realtime/ticket',
      'POST /realtime/tokens/revoke',
      'POST /realtime/users/{user_id}/disconnect',
    ])
  })

  test('names each operation once, with the parameters of its path', () => {
    const ids = operations().map(({ operation }) => operation.operationId)
    expect(new Set(ids).size).toBe(ids.length)
    for (const { path, operation } of operations()) {
      const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path').map(({ name }) => name)
      expect(named).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => String(name)))
    }
  })

  test('refers to what it has', () => {
    const text = JSON.stringify(document)
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
      expect(Object.keys(document.components.schemas)).toContain(String(name))
    }
    expect(text).not.toMatch(/"(\$id|const|patternProperties)":|"type":"(Date|null)"|multipart/)
  })

  test('says of every operation who may call it, and describes every failure the same way', () => {
    for (const { path, method, operation } of operations()) {
      const open = !path.startsWith('/realtime') && path !== '/api/websocket/status'
      expect(operation.security !== undefined, `${method} ${path}`).toBe(!open)
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(response.description).not.toBe('')
        if (Number(status) < 400 || path === '/readyz') continue
        expect(response.content).toEqual({ 'application/json': { schema: { $ref: '#/components/schemas/Error' } } })
      }
      if (operation.security?.some((scheme) => 'admin' in scheme)) expect(operation.responses).toHaveProperty('401')
    }
    expect(Object.keys(document.components.securitySchemes).sort()).toEqual(['admin', 'userToken'])
  })

  test('says what parameters the WebSocket has', () => {
    const { parameters, responses } = operationOf('get', '/realtime')
    expect((parameters ?? []).map(({ name }) => name)).toEqual([
      'token',
      'ticket',
      'device_id',
      'rooms',
      'cursor',
      'resume',
      'ack',
      'envelope',
      'format',
      'close_reason',
      'Sec-WebSocket-Protocol',
    ])
    expect((parameters ?? []).every(({ description }) => description)).toBe(true)
    expect(Object.keys(responses)).toContain('101')
  })

  test('says that an event stream is one', () => {
    expect(operationOf('get', '/realtime/sse').responses['200']).toMatchObject({
      content: { 'text/event-stream': { schema: { type: 'string' } } },
    })
  })

  test('has numbers as numbers', () => {
    const { parameters } = operationOf('get', '/realtime/connections')
    expect((parameters ?? []).find(({ name }) => name === 'limit')?.schema).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 50,
      description: 'Items on a page.',
    })
  })

  // An answer that its own description does not fit is one that generated clients choke on.
  test('fits the answers', async () => {
    await using _client = await server.connect({ user: 'alice', rooms: ['lobby'] })
    const asked: [path: string, schema: string][] = [
      ['/realtime/connections', 'Connections'],
      ['/realtime/users/alice', 'User'],
      ['/realtime/rooms', 'Rooms'],
      ['/realtime/rooms/lobby', 'Room'],
      ['/api/websocket/status', 'Status'],
    ]
    for (const [path, schema] of asked) {
      const token = path.startsWith('/api') ? await server.token({ user: 'alice' }) : ADMIN_KEY
      const { body } = await ask(server.url, 'GET', path, { token })
      const described = document.components.schemas[schema] as { properties: object; required: string[] }
      expect(Object.keys(body as object).sort(), path).toEqual(Object.keys(described.properties).sort())
    }
  })
})

describe('the page for people', () => {
  test('comes from this server alone, under a strict policy', async () => {
    const response = await fetch(`${server.url}/swagger`)
    const html = await response.text()
    expect(html).not.toMatch(/https?:\/\//)
    expect(html).not.toMatch(/<script(?![^>]*src=)|<style|style=| on\w+=/)
    expect(response.headers.get('content-security-policy')).toBe(
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    )
    for (const [, asset] of html.matchAll(/(?:src|href)="(\/[^"]*)"/g)) {
      const loaded = await fetch(`${server.url}${asset}`)
      expect({ asset, status: loaded.status, nosniff: loaded.headers.get('x-content-type-options') }).toEqual({
        asset,
        status: 200,
        nosniff: 'nosniff',
      })
    }
  })

  test('is not sent again where the browser has it', async () => {
    const first = await fetch(`${server.url}/swagger/swagger-ui-bundle.js`)
    expect((await first.arrayBuffer()).byteLength).toBeGreaterThan(1_000_000)
    const headers = { 'if-none-match': String(first.headers.get('etag')) }
    const again = await fetch(`${server.url}/swagger/swagger-ui-bundle.js`, { headers })
    expect({ status: again.status, bytes: (await again.arrayBuffer()).byteLength }).toEqual({ status: 304, bytes: 0 })
  })
})
