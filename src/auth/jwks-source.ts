/** Where a JWKS comes from: a file or a URL, read with a limit on time and size. */

/** Longest wait for the issuer: a client that is connecting waits for it too. */
const FETCH_TIMEOUT_MS = 5_000
/** Largest document: a hundred RSA keys with their certificates; more is not a key set. */
const MAX_DOCUMENT_BYTES = 512 * 1024

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source)
}

/** Reads the document once. `source` is an http(s) URL or the path of a file. Rejects with an error for the operator. */
export async function readSource(source: string, closing: AbortSignal): Promise<string> {
  return isUrl(source) ? await fetchDocument(source, closing) : await readDocument(source)
}

async function readDocument(path: string): Promise<string> {
  const file = Bun.file(path)
  if (!(await file.exists())) throw new Error(`no such file: ${path}`)
  if (file.size > MAX_DOCUMENT_BYTES) throw tooLarge()
  return await file.text()
}

async function fetchDocument(url: string, closing: AbortSignal): Promise<string> {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(FETCH_TIMEOUT_MS)])
  // A redirect is not followed: keys come from the address that was configured, or not at all.
  const response = await fetch(url, { signal, redirect: 'manual', headers: { accept: 'application/json' } })
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel()
    throw new Error(`the issuer answered ${response.status}, 200 was expected`)
  }
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let text = ''
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.byteLength
    // Counted after decompression, so that a small answer cannot become a large one.
    if (bytes > MAX_DOCUMENT_BYTES) throw tooLarge()
    text += decoder.decode(chunk, { stream: true })
  }
  return text + decoder.decode()
}

function tooLarge(): Error {
  return new Error(`the JWKS is larger than ${MAX_DOCUMENT_BYTES} bytes`)
}
