/** The tables, and the way from each version of them to the next. */

import type { Database } from 'bun:sqlite'
import { StoreError } from './store-error.ts'

/** Marks the file as ours in its header, as https://sqlite.org/fileformat.html offers; the letters "TIDG". */
const APPLICATION_ID = 0x54494447

/** The step at index n leads from version n to n + 1. A step that was released is never changed. */
const MIGRATIONS: readonly string[] = [
  `
  -- Facts about the store as a whole, such as the highest cursor issued.
  CREATE TABLE facts (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

  -- A topic's row outlives its messages, because of what it knows about those removed.
  CREATE TABLE topics (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    max_messages INTEGER NOT NULL,
    max_age_ms INTEGER NOT NULL,
    trimmed INTEGER NOT NULL DEFAULT 0
  );

  -- The cursor is the row id, so rows are appended at the end, and the index below is one on (topic, cursor).
  CREATE TABLE messages (
    cursor INTEGER PRIMARY KEY,
    topic INTEGER NOT NULL,
    at INTEGER NOT NULL,
    id TEXT NOT NULL,
    device TEXT,
    body TEXT NOT NULL
  );
  CREATE INDEX messages_by_topic ON messages (topic);

  -- The answers to keyed publishes, a row for each commit: a row or an index for each would double a message's price.
  CREATE TABLE answers (cursor INTEGER PRIMARY KEY, at INTEGER NOT NULL, answers TEXT NOT NULL);

  CREATE TABLE positions (
    user TEXT NOT NULL,
    device TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    seen INTEGER NOT NULL,
    PRIMARY KEY (user, device)
  ) WITHOUT ROWID;

  -- vacated is NULL while somebody is in the room.
  CREATE TABLE room_states (
    room TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    vacated INTEGER
  );
  CREATE INDEX room_states_by_vacated ON room_states (vacated);
  `,
  `
  -- Tokens that were taken back, and until when that must be remembered.
  CREATE TABLE revocations (
    scope TEXT PRIMARY KEY,
    issued_before INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX revocations_by_until ON revocations (until);
  `,
]

/** @throws StoreError where the file is somebody else's, or of a version that does not exist yet. */
export function migrate(db: Database, path: string): void {
  const version = pragma(db, 'user_version')
  const owner = pragma(db, 'application_id')
  if (owner !== APPLICATION_ID && (owner !== 0 || version !== 0 || hasTables(db))) {
    throw new StoreError(`The store ${path} is a database of another program. Name another file in store.path.`)
  }
  if (version > MIGRATIONS.length) {
    throw new StoreError(
      `The store ${path} was written by a newer version: its tables have version ${version}, this server knows ${MIGRATIONS.length}. Run the newer version, or name another file in store.path.`,
    )
  }
  if (version === MIGRATIONS.length) return
  db.transaction(() => {
    for (const step of MIGRATIONS.slice(version)) db.run(step)
    db.run(`PRAGMA application_id = ${APPLICATION_ID}`)
    db.run(`PRAGMA user_version = ${MIGRATIONS.length}`)
  }).immediate()
}

function pragma(db: Database, name: 'user_version' | 'application_id'): number {
  const row = db.prepare<Record<string, number>, []>(`PRAGMA ${name}`).get()
  return row?.[name] ?? 0
}

function hasTables(db: Database): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== null
}
