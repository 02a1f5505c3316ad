import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError, loadConfig, newSecret, type Sources } from '../../src/config.ts'

/** A good secret, the same for a whole run. */
export const SECRET = newSecret()

/** Loads in production with a good secret, unless told otherwise. */
export function load(sources: Partial<Sources> = {}) {
  return loadConfig({ flags: {}, mode: 'production', ...sources, env: { TIDINGS_AUTH_SECRET: SECRET, ...sources.env } })
}

/** The lines that loading is refused with; none where it is not. */
export function problemsOf(sources: Partial<Sources>): readonly string[] {
  try {
    load(sources)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** Files in a folder of their own, which is gone at the end of the scope. */
export function files(contents: Record<string, string>) {
  const folder = mkdtempSync(join(tmpdir(), 'tidings-config-'))
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(folder, name), text)
  return {
    path: (name: string) => join(folder, name),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}
