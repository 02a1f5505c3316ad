/**
 * The checkpointer's thread. It is kept as text, because a worker in a file of its own would have to be named to every
 * build that makes a binary of the server, also to those of people who build it into their own; without that, the binary
 * starts and only the thread is missing.
 */
import { Worker } from 'node:worker_threads'

const SOURCE = `
const { Database, constants } = require('bun:sqlite')
const { parentPort } = require('node:worker_threads')
let db
let checkpoint
let touch
parentPort.on('message', (data) => {
  try {
    if (data.open !== undefined) {
      db = new Database(data.open, { create: false, readwrite: true })
      db.fileControl(constants.SQLITE_FCNTL_PERSIST_WAL, 1)
      db.run('PRAGMA busy_timeout = ' + data.busyMs)
      db.run('PRAGMA wal_autocheckpoint = 0')
      db.run('PRAGMA synchronous = NORMAL')
      checkpoint = db.prepare('PRAGMA wal_checkpoint(PASSIVE)')
      touch = db.prepare("UPDATE facts SET value = value WHERE name = 'last'")
    } else if (data.close) {
      db?.close(true)
      parentPort.postMessage({ closed: true })
    } else {
      const { log, checkpointed } = checkpoint.get()
      // The first write after a complete checkpoint starts the log anew and waits for the disk: better here than there.
      const restarted = data.restart && log === checkpointed
      if (restarted) touch.run()
      parentPort.postMessage({ left: log - checkpointed, restarted })
    }
  } catch (error) {
    parentPort.postMessage({ error: String(error) })
  }
})
`

/** What the thread is asked. */
export type Request =
  | { readonly open: string; readonly busyMs: number }
  | { readonly close: true }
  /** Copy what is in the log to the database; with `restart` begin the log anew where all of it was copied. */
  | { readonly restart: boolean }

/** What it answers; nothing to `open`. */
export type Reply =
  | { readonly closed: true }
  | { readonly error: string }
  /** Pages of the log that were not copied, because they came meanwhile or because a reader needs the old ones. */
  | { readonly left: number; readonly restarted: boolean }

export function startCheckpointThread(onReply: (reply: Reply) => void): Worker {
  const worker = new Worker(SOURCE, { eval: true })
  worker.on('message', onReply)
  worker.on('error', (error) => onReply({ error: String(error) }))
  // The thread must not keep the process alive.
  worker.unref()
  return worker
}
