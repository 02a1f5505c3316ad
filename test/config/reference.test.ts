import { expect, test } from 'bun:test'
import { configReference } from '../../src/config/reference.ts'
import { KEYS } from '../../src/config/sources.ts'

test('docs/configuration.md is the reference; bun src/main.ts check --explain > docs/configuration.md brings it up to date', async () => {
  expect(await Bun.file(new URL('../../docs/configuration.md', import.meta.url)).text()).toBe(configReference())
})

test('the reference names every key and says nothing undefined', () => {
  const page = configReference()
  for (const key of KEYS.keys()) expect(page).toContain(`\`TIDINGS_${key.replace('.', '_').toUpperCase()}\``)
  expect(page).not.toContain('undefined')
})
