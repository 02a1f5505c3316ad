/** Loads the file of `--app`: somebody's own handlers, in TypeScript, without a build. */

import { resolve } from 'node:path'
import type { Tidings } from '../index.ts'

/** The file could not be loaded; the message is written for whoever wrote the file. */
export class AppFileError extends Error {
  override readonly name = 'AppFileError'
}

/**
 * Imports the file and returns its default export. `tidings`, `typebox` and `elysia` are this program's own
 * there, also in the compiled binary, which has no folder of packages to look into.
 */
export async function loadApp(path: string): Promise<Tidings> {
  const file = resolve(path)
  if (!(await Bun.file(file).exists())) throw new AppFileError(`there is no file ${file}`)
  await providePackages()
  let loaded: { default?: unknown }
  try {
    loaded = await import(file)
  } catch (error) {
    throw new AppFileError(`${path} could not be loaded\n${describe(error)}`)
  }
  if (isTidings(loaded.default)) return loaded.default
  const kind = typeof loaded.default
  const found = kind === 'undefined' ? 'nothing' : kind === 'object' ? 'an object' : `a ${kind}`
  throw new AppFileError(`${path}: expected export default tidings().on(…), found ${found} as its default export`)
}

/** Told by what it can do: a file may bring a copy of the package along. */
function isTidings(value: unknown): value is Tidings {
  return typeof value === 'function' && 'application' in value && 'bind' in value
}

function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

async function providePackages(): Promise<void> {
  // Loaded before they are registered: afterwards these very imports would find the registration.
  const packages = {
    tidings: await import('../index.ts'),
    typebox: await import('typebox'),
    elysia: await import('elysia'),
  }
  Bun.plugin({
    name: 'tidings-packages',
    setup(build) {
      for (const [name, exports] of Object.entries(packages)) {
        build.module(name, () => ({ exports: { ...exports }, loader: 'object' }))
      }
    },
  })
}

/** What went wrong in somebody's file: every syntax error with its line, or the stack of what was thrown. */
function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join('\n')
  const position = positionOf(error)
  if (error instanceof Error && !position) return error.stack ?? String(error)
  const text = isObject(error) && 'message' in error ? String(error.message) : String(error)
  return position ? `${position.file}:${position.line}:${position.column}: ${text}\n    ${position.lineText}` : text
}

/** The position that Bun gives to errors of syntax and of missing modules. */
function positionOf(error: unknown): { file: string; line: number; column: number; lineText: string } | undefined {
  if (!isObject(error) || !('position' in error)) return undefined
  const { position } = error
  if (!isObject(position) || !('file' in position) || !('line' in position)) return undefined
  return {
    file: String(position.file),
    line: Number(position.line),
    column: 'column' in position ? Number(position.column) : 0,
    lineText: 'lineText' in position ? String(position.lineText).trim() : '',
  }
}
