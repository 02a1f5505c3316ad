import { setDefaultTimeout } from 'bun:test'
import { binaryDriver, independentDriver } from '../contracts/driver.ts'
import { realtimeContract } from '../contracts/realtime.ts'

setDefaultTimeout(30_000)

// With clients that share no code with the server: what both sides got wrong in the same way shows here.
realtimeContract(independentDriver('source', { format: 'json', envelope: 'payload' }))
realtimeContract(independentDriver('source', { format: 'msgpack', envelope: 'payload' }))
realtimeContract(independentDriver('binary', { format: 'json', envelope: 'payload' }))
realtimeContract(independentDriver('binary', { format: 'msgpack', envelope: 'data' }))
realtimeContract(binaryDriver({ transport: 'sse', format: 'json', envelope: 'payload' }))
realtimeContract(binaryDriver({ transport: 'poll', format: 'json', envelope: 'payload' }))
