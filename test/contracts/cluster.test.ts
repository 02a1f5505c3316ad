import { setDefaultTimeout } from 'bun:test'
import { adminContract } from './admin.ts'
import { clusterDriver } from './cluster.ts'
import { realtimeContract } from './realtime.ts'

setDefaultTimeout(30_000)

realtimeContract(clusterDriver({ format: 'json', envelope: 'payload' }))
realtimeContract(clusterDriver({ format: 'msgpack', envelope: 'payload' }))
realtimeContract(clusterDriver({ transport: 'sse', format: 'json', envelope: 'payload' }))
realtimeContract(clusterDriver({ transport: 'poll', format: 'json', envelope: 'payload' }))

adminContract(clusterDriver({ format: 'json', envelope: 'payload' }))
