/** The description of the routes for programs (`/swagger/json`) and for people (`/swagger`), without any network. */
import { type AnyElysia, Elysia } from 'elysia'
import { ASSETS, type Asset, PAGE } from '../web/swagger/assets.ts'
import type { HttpDeps } from './deps.ts'
import { pageHeaders } from './page-headers.ts'

/** The UI draws its arrows as `data:` images. */
const HEADERS = pageHeaders("'self' data:")

/** @param described the routes to describe. */
export function swaggerRoutes({ border }: HttpDeps, described: AnyElysia) {
  const tags = new Map<Asset, string>()
  const serve = async (request: Request, asset: Asset): Promise<Response> => {
    const file = Bun.file(asset.file)
    const etag = tags.get(asset) ?? `"${Bun.hash(await file.arrayBuffer()).toString(36)}"`
    tags.set(asset, etag)
    const headers = { ...HEADERS, etag, 'content-type': asset.contentType }
    if (request.headers.get('if-none-match') === etag) return new Response(null, { status: 304, headers })
    return new Response(file, { headers })
  }
  let document: Promise<unknown> | undefined
  const hidden = { detail: { hide: true } }
  const app = new Elysia()
    .get('/swagger', ({ request }) => serve(request, PAGE), hidden)
    .get(
      '/swagger/json',
      async ({ request }) => {
        // Made when it is first asked for: the generator takes longer to load than the server to start.
        document ??= import('./openapi.ts').then(({ describe }) => describe(described))
        return border.answer(request, await document)
      },
      hidden,
    )
  for (const [name, asset] of Object.entries(ASSETS)) {
    app.get(`/swagger/${name}`, ({ request }) => serve(request, asset), hidden)
  }
  return app
}
