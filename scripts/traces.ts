/** Traces of the machine on which a file was written: they break, or mean nothing, on any other. */
import { homedir } from 'node:os'

export interface Place {
  /** The repository's folder on this machine. */
  readonly root: string
  readonly home: string
}

const HERE: Place = { root: new URL('..', import.meta.url).pathname.replace(/\/$/, ''), home: homedir() }

const REGISTRY_HOST = /\b(?:registry|npm)[.][a-z0-9-]+[.](?:org|com|io|dev)\b/
const LOCKED_HOST = /"resolved": "https?:/
const CREDENTIAL = /_auth[T]oken|_pass[w]ord\s*=/

const literally = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Finds the hosts of package registries, credentials of npm, and absolute paths of this machine in one file. */
export function findTraces(file: string, text: string, place: Place = HERE): string[] {
  const rules: [RegExp, string][] = [
    [REGISTRY_HOST, 'names the host of a package registry'],
    [CREDENTIAL, "holds a registry's credentials"],
  ]
  if (file.endsWith('package-lock.json')) rules.push([LOCKED_HOST, 'pins a package to a host'])
  for (const path of new Set([place.root, place.home])) {
    if (path.length > 1)
      rules.push([new RegExp(`(?<![\\w./-])${literally(path)}(?![\\w-])`), 'names a path of this machine'])
  }
  const found: string[] = []
  for (const [index, line] of text.split('\n').entries()) {
    for (const [pattern, message] of rules) {
      if (pattern.test(line)) found.push(`${file}:${index + 1} ${message}: ${line.trim().slice(0, 100)}`)
    }
  }
  return found
}

/** The repository's files: tracked, and new ones that git does not ignore. */
export function repositoryFiles(root: string): string[] {
  const listed = Bun.spawnSync(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root })
  if (!listed.success) throw new Error(`git ls-files failed: ${listed.stderr}`)
  return listed.stdout.toString().split('\0').filter(Boolean)
}

/** All traces in the repository at `root`. Files with a NUL byte are not text and are skipped. */
export async function checkTraces(root: string): Promise<string[]> {
  const found: string[] = []
  for (const file of repositoryFiles(root)) {
    const handle = Bun.file(`${root}/${file}`)
    if (!(await handle.exists())) continue
    const text = await handle.text()
    if (!text.includes('\0')) found.push(...findTraces(file, text))
  }
  return found
}
