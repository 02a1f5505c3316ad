import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { SseParser, type StreamEvent } from '../../src/client/sse-parser.ts'

function parse(...pieces: string[]): StreamEvent[] {
  const events: StreamEvent[] = []
  const parser = new SseParser((event) => events.push(event))
  for (const piece of pieces) parser.push(piece)
  return events
}

describe('an event stream', () => {
  test('ends an event with an empty line, not before', () => {
    expect(parse('id: 5\ndata: {"a":1}\n')).toEqual([])
    expect(parse('id: 5\ndata: {"a":1}\n\n')).toEqual([{ id: '5', data: '{"a":1}' }])
  })

  test('knows an event that has only an id: the heartbeat', () => {
    expect(parse('id: 17\n\n')).toEqual([{ id: '17' }])
  })

  test('forgets the id with its event, so that a message without one moves no position', () => {
    expect(parse('id: 5\ndata: a\n\ndata: b\n\n')).toEqual([{ id: '5', data: 'a' }, { data: 'b' }])
  })

  test('joins several lines of data', () => {
    expect(parse('data: a\ndata:\ndata: b\n\n')).toEqual([{ data: 'a\n\nb' }])
  })

  test('removes one space after the colon and no more', () => {
    expect(parse('data:a\n\ndata:  a\n\ndata\n\n')).toEqual([{ data: 'a' }, { data: ' a' }, { data: '' }])
  })

  test('skips comments, other fields and empty events', () => {
    expect(parse(': hi\n\nretry: 2000\n\nevent: x\nfoo: bar\ndata: a\n\n\n\n')).toEqual([{ data: 'a' }])
  })

  test('takes no id with NUL in it', () => {
    expect(parse('id: 5\0\ndata: a\n\n')).toEqual([{ data: 'a' }])
  })

  test.each(['\n', '\r', '\r\n'])('ends lines with %j', (end) => {
    expect(parse(['id: 1', 'data: a', 'data: b', '', 'id: 2', '', ''].join(end))).toEqual([
      { id: '1', data: 'a\nb' },
      { id: '2' },
    ])
  })

  test('takes CR and LF in two pieces for one line end', () => {
    expect(parse('data: a\r', '\ndata: b\r', '', '\n\r', '\n')).toEqual([{ data: 'a\nb' }])
  })

  test('does not wait for the LF after a CR: an event is there as soon as its line ends', () => {
    expect(parse('data: a\r\r')).toEqual([{ data: 'a' }])
  })

  test('breaks no line at separators that are not its own', () => {
    const data = 'a\u2028b\u2029c\u0085d\u000be\ufefff'
    expect(parse(`data: ${data}\n\n`)).toEqual([{ data }])
  })

  test('cannot fill the memory with a line that never ends', () => {
    const parser = new SseParser(() => {})
    const piece = 'x'.repeat(1 << 20)
    expect(() => {
      for (let count = 0; count < 17; count++) parser.push(piece)
    }).toThrow(RangeError)
    const lines = new SseParser(() => {})
    expect(() => {
      for (let count = 0; count < 17; count++) lines.push(`data: ${piece}\n`)
    }).toThrow(RangeError)
  })

  test('may go on for ever with events of a size', () => {
    const parser = new SseParser(() => {})
    const event = `data: ${'x'.repeat(1 << 20)}\n\n`
    for (let count = 0; count < 40; count++) parser.push(event)
  })
})

test('any events, with any line ends, cut anywhere, are read as they were written', () => {
  const text = fc.string({ unit: fc.constantFrom('a', ' ', ':', '\u2028', '\ufeff', '😀', '{', '\0') })
  const event = fc.record(
    { id: text.map((id) => id.replaceAll('\0', '')), data: fc.array(text, { minLength: 1, maxLength: 3 }) },
    { requiredKeys: ['data'] },
  )
  const lineEnd = fc.constantFrom('\n', '\r', '\r\n')
  const stream = fc.array(fc.tuple(event, fc.infiniteStream(lineEnd)), { maxLength: 6 })
  const cuts = fc.array(fc.nat({ max: 400 }), { maxLength: 12 })
  fc.assert(
    fc.property(stream, cuts, (events, at) => {
      let written = ''
      for (const [{ id, data }, ends] of events) {
        const lines = [...(id === undefined ? [] : [`id: ${id}`]), ...data.map((line) => `data: ${line}`), '']
        for (const line of lines) {
          const end = ends.next().value as string
          // A CR before an LF of the next, empty line would be one line end.
          written += line + (written.endsWith('\r') && line === '' && end === '\n' ? '\r' : end)
        }
      }
      const pieces: string[] = []
      let from = 0
      for (const cut of [...at].sort((a, b) => a - b)) {
        pieces.push(written.slice(from, cut))
        from = Math.max(from, cut)
      }
      pieces.push(written.slice(from))
      expect(parse(...pieces)).toEqual(
        events.map(([{ id, data }]) => ({ ...(id !== undefined && { id }), data: data.join('\n') })),
      )
    }),
    { numRuns: 1000 },
  )
})

test('bytes cut in the middle of a character and a byte order mark at the start are the decoder’s affair, and it copes', () => {
  const bytes = new TextEncoder().encode('\ufeffdata: é😀\n\n')
  const events: StreamEvent[] = []
  const parser = new SseParser((event) => events.push(event))
  const decoder = new TextDecoder()
  for (const byte of bytes) parser.push(decoder.decode(Uint8Array.of(byte), { stream: true }))
  expect(events).toEqual([{ data: 'é😀' }])
})
