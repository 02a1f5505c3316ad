import { setDefaultTimeout } from 'bun:test'
import { sourceDriver } from './driver.ts'
import { realtimeContract } from './realtime.ts'

setDefaultTimeout(30_000)

realtimeContract(sourceDriver({ format: 'json', envelope: 'payload' }))
realtimeContract(sourceDriver({ format: 'json', envelope: 'data' }))
realtimeContract(sourceDriver({ format: 'msgpack', envelope: 'payload' }))
realtimeContract(sourceDriver({ format: 'msgpack', envelope: 'data' }))
