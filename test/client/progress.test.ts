import { describe, expect, test } from 'bun:test'
import { Progress } from '../../src/client/progress.ts'

describe('what has been processed', () => {
  test('starts where an earlier client stood', () => {
    expect(new Progress('5').cursor).toBe('5')
    expect(new Progress(undefined).cursor).toBeUndefined()
  })

  test('is everything before the oldest message that is still at it', () => {
    const progress = new Progress(undefined)
    const [first, second, third] = ['10', '20', '30'].map((cursor) => progress.begin(cursor))
    progress.moved('30')
    expect(progress.cursor).toBeUndefined()
    second?.()
    expect(progress.cursor).toBeUndefined()
    first?.()
    expect(progress.cursor).toBe('20')
    third?.()
    expect(progress.cursor).toBe('30')
  })

  test('follows the position while nothing is at it', () => {
    const progress = new Progress(undefined)
    progress.moved('7')
    expect(progress.cursor).toBe('7')
  })

  test('does not follow the position past a message that is at it', () => {
    const progress = new Progress('1')
    const done = progress.begin('5')
    progress.moved('9')
    expect(progress.cursor).toBe('1')
    done()
    done()
    expect(progress.cursor).toBe('9')
  })

  test('does not go back for a message of before', () => {
    const progress = new Progress('9')
    const [first, second] = [progress.begin('5'), progress.begin('20')]
    first()
    expect(progress.cursor).toBe('9')
    second()
  })
})
