/** What people open in a browser: the start page, and the client library as a script. */
import { type AnyElysia, Elysia } from 'elysia'
import { PAGE, STYLE } from '../web/start/assets.ts'
import { pageHeaders } from './page-headers.ts'

const HEADERS = pageHeaders()

const hidden = { detail: { hide: true } }

/** The client library. Any page may load it, whatever its origin: it is code and knows nothing. */
export function clientScript(): AnyElysia {
  return new Elysia().get('/client.js', async () => script((await scripts()).CLIENT, '*'), hidden)
}

export function startPage(): AnyElysia {
  return new Elysia()
    .get('/', () => file(PAGE, 'text/html; charset=utf-8'), hidden)
    .get('/start.css', () => file(STYLE, 'text/css; charset=utf-8'), hidden)
    .get('/start.js', async () => script((await scripts()).START), hidden)
}

/** Bundled when first asked for, where the server runs from source. */
function scripts() {
  return import('../web/scripts.ts')
}

function file(path: string, contentType: string): Response {
  return new Response(Bun.file(path), { headers: { ...HEADERS, 'content-type': contentType } })
}

function script(text: string, allowedOrigin?: string): Response {
  const headers = { ...HEADERS, 'content-type': 'text/javascript; charset=utf-8' }
  return new Response(text, {
    headers: allowedOrigin === undefined ? headers : { ...headers, 'access-control-allow-origin': allowedOrigin },
  })
}
