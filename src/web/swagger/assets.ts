/** The files of the Swagger UI, which the binary carries. Paths: nothing is read before somebody asks. */

import icon from 'swagger-ui-dist/favicon-32x32.png' with { type: 'file' }
import style from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' }
import bundle from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' }
import licences from 'swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt' with { type: 'file' }
import page from './index.html' with { type: 'file' }
import start from './start.js' with { type: 'file' }

export interface Asset {
  readonly file: string
  readonly contentType: string
}

export const PAGE: Asset = { file: asPath(page), contentType: 'text/html; charset=utf-8' }

/** What the page loads, by the last part of its address; and the licences, to which the script refers by that name. */
export const ASSETS: Readonly<Record<string, Asset>> = {
  'swagger-ui-bundle.js': { file: asPath(bundle), contentType: 'text/javascript; charset=utf-8' },
  'swagger-ui-bundle.js.LICENSE.txt': { file: asPath(licences), contentType: 'text/plain; charset=utf-8' },
  'swagger-ui.css': { file: asPath(style), contentType: 'text/css; charset=utf-8' },
  'start.js': { file: asPath(start), contentType: 'text/javascript; charset=utf-8' },
  'favicon.png': { file: asPath(icon), contentType: 'image/png' },
}

/** The runtime's types take an HTML file for a page to bundle; imported as a file it is a path like the others. */
function asPath(imported: unknown): string {
  return imported as string
}
