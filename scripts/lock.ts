/** Whether package.json names one version of each package, and package-lock.json the same one. */

type Versions = Readonly<Record<string, string>>

interface Manifest {
  readonly dependencies?: Versions
  readonly devDependencies?: Versions
}

interface Lock {
  /** By path: `''` is the project, `node_modules/elysia` the installed package. */
  readonly packages: Readonly<Record<string, Manifest & { readonly version?: string }>>
}

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/

/** @returns what is wrong, one line per package and kind of dependency. */
export function checkLock(manifest: Manifest, lock: Lock): string[] {
  const problems: string[] = []
  for (const kind of ['dependencies', 'devDependencies'] as const) {
    const wanted = manifest[kind] ?? {}
    const locked = lock.packages['']?.[kind] ?? {}
    for (const name of new Set([...Object.keys(wanted), ...Object.keys(locked)])) {
      const version = wanted[name]
      if (version === undefined) problems.push(`${name} is locked under ${kind} but not in package.json: npm install`)
      else if (!EXACT.test(version)) problems.push(`${name} ${version} is not one version: npm install --save-exact`)
      else if (locked[name] !== version || lock.packages[`node_modules/${name}`]?.version !== version) {
        problems.push(`${name} ${version} is not what package-lock.json locks: npm install`)
      }
    }
  }
  return problems
}
