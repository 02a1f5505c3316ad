import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { formatDetails, parseMarker, parseTold } from '../../../src/backends/redis/log/envelope.ts'
import { entry } from './support.ts'

const sent = entry('user:alice', '{"type":"hi"}\nand more', { device: 'phone\n2', origin: 'connection-1' })
const details = formatDetails(sent)
const told = `1\nm\nepoch_1\n1763600000123456\n1763600000000000\n1763600000123.5\n${details}\n${sent.body}`

describe('the bus', () => {
  test('carries a message as it was published, whatever stands in it', () => {
    expect(parseTold('user:alice', told)).toEqual({
      kind: 'message',
      epoch: 'epoch_1',
      message: {
        cursor: 1_763_600_000_123_456,
        topic: 'user:alice',
        device: 'phone\n2',
        id: sent.id,
        body: sent.body,
        at: 1_763_600_000_123.5,
        origin: 'connection-1',
      },
      previous: 1_763_600_000_000_000,
      retention: sent.retention,
    })
  })

  test('carries markers', () => {
    expect(parseMarker('1\nM\nepoch_1\nr7\n20\n10')).toEqual({
      kind: 'marker',
      epoch: 'epoch_1',
      name: 'r7',
      last: 20,
      since: 10,
    })
  })

  test('what is none of ours is nothing: another version, another kind, damaged numbers, names and details', () => {
    const broken: readonly (readonly [from: string, to: string])[] = [
      ['1\nm', '2\nm'],
      ['1\nm', '1\nx'],
      ['epoch_1', 'epoch 1'],
      ['epoch_1', ''],
      ['1763600000123456', '-1'],
      ['1763600000123456', '17636000001234567'],
      ['1763600000000000', 'NaN'],
      ['1763600000123.5', 'yesterday'],
      [details, '{}'],
      [details, '[1,null,null,1,1]'],
      [details, '["id",1,null,1,1]'],
      [details, '["id",null,null,"1",1]'],
      [details, '["id",null,null,1]'],
      [details, 'not JSON'],
      [`\n${sent.body}`, ''],
    ]
    for (const [from, to] of broken) {
      expect(told).toContain(from)
      expect([from, to, parseTold('user:alice', told.replace(from, to))]).toEqual([from, to, undefined])
    }
    for (const text of ['', '1', '1\nM\nepoch_1\nr7\n20', '1\nM\nepoch_1\nr7\n20\n10\n', '1\nM\nepoch_1\nr 7\n20\n10'])
      expect(parseMarker(text)).toBeUndefined()
  })

  test('no text makes the reader throw', () => {
    const text = fc.oneof(
      fc.string(),
      fc.array(fc.string({ maxLength: 20 }), { maxLength: 10 }).map((all) => all.join('\n')),
    )
    fc.assert(
      fc.property(text, (body) => {
        parseTold('room:r', body)
        parseMarker(body)
        parseTold('room:r', `1\nm\nepoch\n1\n0\n1\n${body}\nx`)
      }),
    )
  })
})
