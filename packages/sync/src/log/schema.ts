import type { Schema } from "@warren/store";
import { sql } from "kysely";

/** Tables of the log. Written through prepared statements, so they have no types here. */
export const syncLogSchema: Schema = {
	domain: "sync-log",
	migrations: {
		"001-log": {
			async up(db) {
				for (const statement of tables) await sql.raw(statement).execute(db);
			},
		},
	},
};

const tables = [
	`CREATE TABLE sync_updates (
		room TEXT NOT NULL, seq INTEGER NOT NULL, bytes BLOB NOT NULL, owner TEXT NOT NULL, at INTEGER NOT NULL,
		PRIMARY KEY (room, seq)) WITHOUT ROWID`,
	`CREATE TABLE sync_rooms (
		room TEXT PRIMARY KEY, head INTEGER NOT NULL, tail_count INTEGER NOT NULL, tail_bytes INTEGER NOT NULL,
		snapshot_upto INTEGER NOT NULL, snapshot_bytes INTEGER NOT NULL, snapshot_hash TEXT NOT NULL,
		quarantine TEXT) WITHOUT ROWID`,
	// Apart from the row that every commit rewrites.
	"CREATE TABLE sync_coverage (room TEXT PRIMARY KEY, bytes BLOB NOT NULL)",
	// kind 0 is the snapshot in use, any other number a checkpoint's id.
	`CREATE TABLE sync_chunks (
		room TEXT NOT NULL, kind INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL,
		PRIMARY KEY (room, kind, part))`,
	`CREATE TABLE sync_checkpoints (
		id INTEGER PRIMARY KEY AUTOINCREMENT, room TEXT NOT NULL, at INTEGER NOT NULL, upto INTEGER NOT NULL,
		bytes INTEGER NOT NULL, hash TEXT NOT NULL, label TEXT NOT NULL)`,
	"CREATE INDEX sync_checkpoints_room ON sync_checkpoints (room, id)",
];
