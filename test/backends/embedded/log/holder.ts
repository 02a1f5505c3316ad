/** A process that opens the store at argv[2], says so, and stays. */
import { openStore } from '../../../../src/backends/embedded/log/store.ts'
import { testOptions } from './support.ts'

openStore(testOptions(process.argv[2] ?? ''))
console.log('open')
setInterval(() => {}, 60_000)
