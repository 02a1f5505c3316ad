import { expect, test } from 'bun:test'
import { tidings } from '../../src/tidings.ts'

// Such handlers were taken without a word and never called: the protocol answers its own types, and no frame has a name
// that is none.
test('a handler that no frame could ever reach is refused where it is written', () => {
  const handler = () => 1
  for (const type of ['ping', 'ack', 'welcome', 'user_joined_room']) {
    expect(() => tidings().on(type, handler)).toThrow(`${type} is a type of the protocol's own: choose another name`)
  }
  for (const type of ['', 'two words', 'x'.repeat(65)]) {
    expect(() => tidings().on(type, handler)).toThrow('is no type: 1 to 64 of A-Z a-z 0-9 _ . : - are expected')
  }
  expect(() => tidings().on('vote', undefined as unknown as () => void)).toThrow(
    'The handler for vote is not a function',
  )
})
