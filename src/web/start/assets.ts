/** The files of the start page, which the binary carries. */

import page from './index.html' with { type: 'file' }
import style from './start.css' with { type: 'file' }

/** The runtime's types take an HTML file for a page to bundle; imported as a file it is a path. */
export const PAGE: string = page as unknown as string
export const STYLE: string = style as unknown as string
