/** The browser scripts, bundled. Import this module when a script is first asked for: from source, that bundles them. */
import { bundle } from './bundle.ts' with { type: 'macro' }

/** The client library, as `/client.js` serves it: one module without dependencies. */
export const CLIENT: string = bundle('../client/index.ts')

/** The start page's own. */
export const START: string = bundle('start/start.ts')
