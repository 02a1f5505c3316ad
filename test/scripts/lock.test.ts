import { describe, expect, test } from 'bun:test'
import { checkLock } from '../../scripts/lock.ts'

const lockOf = (dependencies: Record<string, string>, installed: Record<string, string>) => ({
  packages: {
    '': { dependencies },
    ...Object.fromEntries(Object.entries(installed).map(([name, version]) => [`node_modules/${name}`, { version }])),
  },
})

describe('the lock file', () => {
  test('agrees with package.json package by package', () => {
    expect(checkLock({ dependencies: { a: '1.0.0' } }, lockOf({ a: '1.0.0' }, { a: '1.0.0' }))).toEqual([])
  })

  test('is found to lack a package, to hold another version, and to keep one that was removed', () => {
    const manifest = { dependencies: { lacking: '1.0.0', raised: '2.0.0', moved: '1.0.0' } }
    const lock = lockOf({ raised: '1.0.0', moved: '1.0.0', removed: '1.0.0' }, { raised: '1.0.0', moved: '1.0.1' })
    expect(checkLock(manifest, lock)).toEqual([
      'lacking 1.0.0 is not what package-lock.json locks: npm install',
      'raised 2.0.0 is not what package-lock.json locks: npm install',
      'moved 1.0.0 is not what package-lock.json locks: npm install',
      'removed is locked under dependencies but not in package.json: npm install',
    ])
  })

  test.each(['^1.0.0', '~1.0.0', '1.x', 'latest', '*'])('%s is not one version', (version) => {
    expect(checkLock({ devDependencies: { a: version } }, lockOf({}, {}))).toEqual([
      `a ${version} is not one version: npm install --save-exact`,
    ])
  })
})
