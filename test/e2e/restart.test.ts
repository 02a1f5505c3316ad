import { restartContract } from '../contracts/restart.ts'
import { BINARY } from '../support/binary.ts'

restartContract('the binary', [BINARY])
