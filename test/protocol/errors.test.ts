import { describe, expect, test } from 'bun:test'
import { ERRORS, type ErrorName, TidingsError } from '../../src/protocol/errors.ts'

const NAMES = Object.keys(ERRORS) as ErrorName[]

test('the table that clients are written against', () => {
  const rows = NAMES.map((name) => {
    const { code, reconnect, status, close } = ERRORS[name]
    return [name, code, reconnect, status, close].join(' ')
  })
  expect(rows).toEqual([
    'authentication_required RT_001 false 403 4003',
    'invalid_token RT_002 false 401 4001',
    'token_expired RT_002 false 401 4001',
    'token_revoked RT_002 false 401 4001',
    'forbidden RT_003 false 403 4003',
    'disconnected RT_003 false 403 4003',
    'invalid_message RT_004 false 400 1008',
    'version_conflict RT_004 false 409 1008',
    'upgrade_required RT_004 false 426 1008',
    'unknown_type RT_005 false 404 1008',
    'not_found RT_005 false 404 1008',
    'rate_limited RT_006 true 429 4029',
    'connection_limit RT_007 true 429 4009',
    'room_limit RT_007 true 429 4009',
    'payload_too_large RT_008 false 413 1009',
    'internal_error RT_009 true 500 1011',
    'unavailable RT_009 true 503 1011',
    'ack_timeout RT_009 true 503 1011',
    'handler_timeout RT_009 true 503 1011',
    'draining RT_009 true 503 1012',
  ])
})

describe('what a client is told', () => {
  test('the table’s words where nothing more precise is known', () => {
    expect(new TidingsError('connection_limit').toBody()).toEqual({
      code: 'RT_007',
      error_code: 'connection_limit',
      message: 'Max connections exceeded',
      reconnect: true,
    })
  })

  test('what was said in place of the table', () => {
    const error = new TidingsError('connection_limit', 'The server is full', {
      details: { limit: 10 },
      retryAfterMs: 0,
      reconnect: false,
      status: 503,
      close: 1013,
    })
    expect(error.toBody()).toEqual({
      code: 'RT_007',
      error_code: 'connection_limit',
      message: 'The server is full',
      reconnect: false,
      details: { limit: 10 },
      retry_after_ms: 0,
    })
    expect([error.status, error.close]).toEqual([503, 1013])
  })

  test('stays under 256 bytes without details', () => {
    for (const name of NAMES) {
      const body = new TidingsError(name, undefined, { retryAfterMs: Number.MAX_SAFE_INTEGER }).toBody()
      expect(JSON.stringify(body).length, name).toBeLessThan(256)
    }
  })
})

test('what was thrown by accident keeps its words and stack for the log alone', () => {
  const accident = new Error('password=hunter2 at /srv/app.ts')
  const error = TidingsError.from(accident)
  expect(error.cause).toBe(accident)
  expect(error.toBody()).toEqual({
    code: 'RT_009',
    error_code: 'internal_error',
    message: 'Internal error',
    reconnect: true,
  })
})

test('an error of the protocol passes the border unchanged', () => {
  const error = new TidingsError('forbidden')
  expect(TidingsError.from(error)).toBe(error)
})
