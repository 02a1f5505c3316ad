import { setDefaultTimeout } from 'bun:test'
import { adminContract } from '../contracts/admin.ts'
import { independentDriver } from '../contracts/driver.ts'

setDefaultTimeout(30_000)

adminContract(independentDriver('binary', { format: 'msgpack', envelope: 'payload' }))
