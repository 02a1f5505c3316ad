import { setDefaultTimeout } from 'bun:test'
import { sourceDriver } from './driver.ts'
import { realtimeContract } from './realtime.ts'

setDefaultTimeout(30_000)

realtimeContract(sourceDriver({ transport: 'sse', format: 'json', envelope: 'payload' }))
realtimeContract(sourceDriver({ transport: 'sse', format: 'json', envelope: 'data' }))
realtimeContract(sourceDriver({ transport: 'poll', format: 'json', envelope: 'payload' }))
realtimeContract(sourceDriver({ transport: 'poll', format: 'json', envelope: 'data' }))
