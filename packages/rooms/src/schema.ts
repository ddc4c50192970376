import type { Schema } from "@warren/store";
import { CompiledQuery } from "kysely";

const statements = [
	`CREATE TABLE rooms_rooms (
		id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, visibility TEXT NOT NULL, federated INTEGER NOT NULL,
		created_by TEXT NOT NULL, created_at INTEGER NOT NULL
	)`,
	`CREATE TABLE rooms_members (
		room_id TEXT NOT NULL REFERENCES rooms_rooms (id) ON DELETE CASCADE, member TEXT NOT NULL, name TEXT NOT NULL,
		joined_at INTEGER NOT NULL, read_seq INTEGER NOT NULL, PRIMARY KEY (room_id, member)
	)`,
	// origin_mesh is empty for messages of this machine. Deleted ones keep their row, without content.
	`CREATE TABLE rooms_messages (
		seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
		room_id TEXT NOT NULL REFERENCES rooms_rooms (id) ON DELETE CASCADE,
		origin_mesh TEXT NOT NULL, origin_name TEXT NOT NULL, origin_id TEXT NOT NULL,
		sender_id TEXT NOT NULL, sender_name TEXT NOT NULL, sender_kind TEXT NOT NULL,
		content TEXT NOT NULL, created_at INTEGER NOT NULL, edited_at INTEGER, deleted_at INTEGER,
		version INTEGER NOT NULL, delivery TEXT, UNIQUE (origin_mesh, origin_id)
	)`,
	"CREATE INDEX rooms_messages_room ON rooms_messages (room_id, seq)",
	// What came from elsewhere, so that nothing of it counts twice.
	`CREATE TABLE rooms_received (
		from_mesh TEXT NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (from_mesh, id)
	) WITHOUT ROWID`,
	"CREATE INDEX rooms_received_at ON rooms_received (at)",
	`CREATE TABLE rooms_outbox (
		seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, room TEXT NOT NULL, message_id TEXT NOT NULL,
		payload TEXT NOT NULL, created_at INTEGER NOT NULL
	)`,
	`CREATE TABLE rooms_webhooks (
		id TEXT PRIMARY KEY, room_id TEXT NOT NULL REFERENCES rooms_rooms (id) ON DELETE CASCADE, name TEXT NOT NULL,
		token_hash TEXT NOT NULL, created_at INTEGER NOT NULL
	)`,
	"CREATE VIRTUAL TABLE rooms_search USING fts5 (content, sender_name, content='rooms_messages', content_rowid='seq', tokenize='unicode61 remove_diacritics 2')",
	`CREATE TRIGGER rooms_search_insert AFTER INSERT ON rooms_messages BEGIN
		INSERT INTO rooms_search (rowid, content, sender_name) VALUES (new.seq, new.content, new.sender_name);
	END`,
	`CREATE TRIGGER rooms_search_delete AFTER DELETE ON rooms_messages BEGIN
		INSERT INTO rooms_search (rooms_search, rowid, content, sender_name) VALUES ('delete', old.seq, old.content, old.sender_name);
	END`,
	`CREATE TRIGGER rooms_search_update AFTER UPDATE OF content, sender_name ON rooms_messages BEGIN
		INSERT INTO rooms_search (rooms_search, rowid, content, sender_name) VALUES ('delete', old.seq, old.content, old.sender_name);
		INSERT INTO rooms_search (rowid, content, sender_name) VALUES (new.seq, new.content, new.sender_name);
	END`,
];

export const roomsSchema: Schema = {
	domain: "rooms",
	migrations: {
		"001-rooms": {
			async up(db) {
				for (const statement of statements) await db.executeQuery(CompiledQuery.raw(statement));
			},
		},
		"002-signatures": {
			async up(db) {
				// The key that signed what came from elsewhere.
				await db.executeQuery(CompiledQuery.raw("ALTER TABLE rooms_messages ADD COLUMN signed_by TEXT"));
			},
		},
	},
};

/** For `openSqliteTables`: everything here goes through statements. */
export type RoomsTables = Record<never, never>;
