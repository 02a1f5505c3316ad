/** A process that reads the database at argv[2] as a backup does: it begins, says so, and does not come to an end. */
import { Database } from 'bun:sqlite'

const db = new Database(process.argv[2] ?? '', { readonly: true })
db.run('BEGIN')
db.query('SELECT count(*) FROM messages').get()
console.log('reading')
setInterval(() => {}, 60_000)
