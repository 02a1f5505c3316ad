import { expect, test } from 'bun:test'
import { findTraces } from '../../scripts/traces.ts'

const place = { root: '/build/here', home: '/home/someone' }
const host = ['registry', 'npmjs', 'org'].join('.')

test('the host of a package registry is found wherever it stands', () => {
  expect(findTraces('docs/a.md', `see\nhttps://${host}/elysia`, place)).toEqual([
    `docs/a.md:2 names the host of a package registry: https://${host}/elysia`,
  ])
})

test('a lock file that pins a package to any host is found', () => {
  const line = '"resolved": "https://mirror.example/elysia.tgz",'
  expect(findTraces('package-lock.json', line, place)).toEqual([
    `package-lock.json:1 pins a package to a host: ${line}`,
  ])
})

test('the repository and the home folder of this machine are found as whole paths only', () => {
  const text = 'cd /build/here\n/build/here-not\n/a/build/here\n"/home/someone/x"\n/home/someone2'
  expect(findTraces('a.md', text, place)).toEqual([
    'a.md:1 names a path of this machine: cd /build/here',
    'a.md:4 names a path of this machine: "/home/someone/x"',
  ])
})

test('funding links and integrity hashes of a lock file are no traces', () => {
  const text = '"funding": { "url": "https://opencollective.com/x" },\n"integrity": "sha512-kqZUFv=="'
  expect(findTraces('package-lock.json', text, place)).toEqual([])
})
