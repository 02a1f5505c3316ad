/**
 * `node scripts/installed.mjs [--running | --dev-found]`, for Node, because it runs before Bun is there.
 * Exits 0 when node_modules holds every package at the version that the lock file names: with `--running` only those
 * that a running server needs. With `--dev-found` it exits 0 when something is there that only developers need.
 */
import { readFileSync } from 'node:fs'

const root = new URL('../', import.meta.url)
const read = (path) => JSON.parse(readFileSync(new URL(path, root), 'utf8'))

function installedVersion(path) {
  try {
    return read(`${path}/package.json`).version
  } catch {
    return undefined
  }
}

const { packages } = read('package-lock.json')
const locked = Object.entries(packages).filter(([path]) => path !== '')
const [mode] = process.argv.slice(2)

if (mode === '--dev-found') {
  // Bun itself is a developers' package in name only: a server does not run without it.
  const found = locked.some(([path, { dev }]) => dev && !/\/(@oven|bun$)/.test(path) && installedVersion(path))
  process.exit(found ? 0 : 1)
}

const running = mode === '--running'
const missing = locked.filter(([path, entry]) => {
  // Optional packages are mostly for other platforms, and nothing fails without them.
  if (entry.optional) return false
  if (running && (entry.dev || entry.devOptional) && path !== 'node_modules/bun') return false
  return installedVersion(path) !== entry.version
})
process.exit(missing.length === 0 ? 0 : 1)
