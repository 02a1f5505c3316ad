import { adminContract } from '../contracts/admin.ts'
import { sourceDriver } from '../contracts/driver.ts'

adminContract(sourceDriver({ format: 'json', envelope: 'payload' }))
