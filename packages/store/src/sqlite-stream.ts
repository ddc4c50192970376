import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import { sql } from "kysely";
import { storeError } from "./errors.ts";
import {
	type AppendedMessage,
	maxStreamMessageBytes,
	type Stream,
	type StreamMessage,
	type StreamOptions,
} from "./stream.ts";
import type { Schema, Statements } from "./tables.ts";

/** Tables of all streams of one database; written through prepared statements, so they have no types here. */
export const streamSchema: Schema = {
	domain: "stream",
	migrations: {
		"001-streams": {
			async up(db) {
				for (const statement of tables) await sql.raw(statement).execute(db);
			},
		},
	},
};

const tables = [
	"CREATE TABLE stream_heads (stream TEXT PRIMARY KEY, head INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID",
	`CREATE TABLE stream_messages (
		stream TEXT NOT NULL, seq INTEGER NOT NULL, subject TEXT NOT NULL, data BLOB NOT NULL, id TEXT, at INTEGER NOT NULL,
		PRIMARY KEY (stream, seq)) WITHOUT ROWID`,
	"CREATE UNIQUE INDEX stream_messages_id ON stream_messages (stream, id) WHERE id IS NOT NULL",
	`CREATE TABLE stream_readers (
		stream TEXT NOT NULL, reader TEXT NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (stream, reader)) WITHOUT ROWID`,
];

/** After a rejected message. */
const againMs = 1_000;

interface Reading {
	readonly receivers: ((message: StreamMessage) => Promise<void> | void)[];
	running: boolean;
	waiting: Timer | undefined;
	attempt: number;
}

/** A stream of one machine: in this process, kept in its SQLite file. */
export class SqliteStream implements Stream {
	readonly #sql: Statements;
	readonly #name: string;
	readonly #options: StreamOptions;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #readings = new Map<string, Reading>();
	#closed = false;

	/** @param statements of tables opened with `streamSchema`. One process appends and reads a stream. */
	constructor(
		statements: Statements,
		name: string,
		options: StreamOptions,
		deps: { readonly clock: Clock; readonly logger: Logger },
	) {
		this.#sql = statements;
		this.#name = name;
		this.#options = options;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
	}

	async append(subject: string, data: Uint8Array, options: { readonly id?: string } = {}): Promise<AppendedMessage> {
		if (data.length > maxStreamMessageBytes) throw tooLarge(data.length);
		const appended = this.#sql.transaction(() => this.#append(subject, data, options.id ?? null));
		for (const [reader, reading] of this.#readings) void this.#go(reader, reading);
		return appended;
	}

	async read(reader: string, receive: (message: StreamMessage) => Promise<void> | void): Promise<Closeable> {
		const reading = this.#readings.get(reader) ?? { receivers: [], running: false, waiting: undefined, attempt: 1 };
		this.#readings.set(reader, reading);
		reading.receivers.push(receive);
		this.#sql.run(
			"INSERT INTO stream_readers (stream, reader, done) VALUES (?, ?, 0) ON CONFLICT DO NOTHING",
			this.#name,
			reader,
		);
		void this.#go(reader, reading);
		return {
			close: () => {
				const at = reading.receivers.indexOf(receive);
				if (at >= 0) reading.receivers.splice(at, 1);
			},
		};
	}

	async forget(reader: string): Promise<void> {
		this.#sql.run("DELETE FROM stream_readers WHERE stream = ? AND reader = ?", this.#name, reader);
	}

	close(): void {
		this.#closed = true;
		for (const reading of this.#readings.values()) reading.waiting?.cancel();
		this.#readings.clear();
	}

	#append(subject: string, data: Uint8Array, id: string | null): AppendedMessage {
		const now = this.#clock.now();
		if (id !== null) {
			const since = now - this.#options.duplicateWindowMs;
			const [before] = this.#sql.all<{ seq: number; at: number }>(
				"SELECT seq, at FROM stream_messages WHERE stream = ? AND id = ?",
				this.#name,
				id,
			);
			if (before !== undefined && before.at > since) return { seq: before.seq, duplicate: true };
			if (before !== undefined)
				this.#sql.run("UPDATE stream_messages SET id = NULL WHERE stream = ? AND seq = ?", this.#name, before.seq);
		}
		const [row] = this.#sql.all<{ head: number; bytes: number }>(
			"INSERT INTO stream_heads (stream, head, bytes) VALUES (?, 1, ?) ON CONFLICT (stream) DO UPDATE SET head = head + 1, bytes = bytes + excluded.bytes RETURNING head, bytes",
			this.#name,
			data.length,
		);
		const seq = row?.head ?? 1;
		this.#sql.run(
			"INSERT INTO stream_messages (stream, seq, subject, data, id, at) VALUES (?, ?, ?, ?, ?, ?)",
			this.#name,
			seq,
			subject,
			data,
			id,
			now,
		);
		this.#shrink(row?.bytes ?? data.length, now);
		return { seq, duplicate: false };
	}

	/** The oldest go, a few at a time: as many as one append can have made too many. */
	#shrink(bytes: number, now: number): void {
		const oldest = this.#sql.all<{ seq: number; at: number; bytes: number }>(
			"SELECT seq, at, length(data) AS bytes FROM stream_messages WHERE stream = ? ORDER BY seq LIMIT 100",
			this.#name,
		);
		let left = bytes;
		let upto = 0;
		for (const each of oldest) {
			if (left <= this.#options.maxBytes && each.at > now - this.#options.maxAgeMs) break;
			left -= each.bytes;
			upto = each.seq;
		}
		if (upto === 0) return;
		this.#sql.run("DELETE FROM stream_messages WHERE stream = ? AND seq <= ?", this.#name, upto);
		this.#sql.run("UPDATE stream_heads SET bytes = ? WHERE stream = ?", left, this.#name);
	}

	/** Gives out what stands, one after another. */
	async #go(reader: string, reading: Reading): Promise<void> {
		if (reading.running || reading.waiting !== undefined) return;
		reading.running = true;
		try {
			for (let turn = 0; !this.#closed && reading.receivers.length > 0; turn++) {
				const [next] = this.#sql.all<{ seq: number; subject: string; data: Uint8Array }>(
					"SELECT m.seq, m.subject, m.data FROM stream_messages m JOIN stream_readers r ON r.stream = m.stream AND r.reader = ? WHERE m.stream = ? AND m.seq > r.done ORDER BY m.seq LIMIT 1",
					reader,
					this.#name,
				);
				if (next === undefined) return;
				const receive = reading.receivers[turn % reading.receivers.length] as Reading["receivers"][number];
				await receive({ ...next, attempt: reading.attempt });
				if (this.#closed) return;
				this.#sql.run(
					"UPDATE stream_readers SET done = ? WHERE stream = ? AND reader = ?",
					next.seq,
					this.#name,
					reader,
				);
				reading.attempt = 1;
			}
		} catch (fault) {
			this.#logger.warn("a message was not taken and is given again", { reader, fault: messageOf(fault) });
			reading.attempt += 1;
			reading.waiting = this.#clock.after(againMs, () => {
				reading.waiting = undefined;
				void this.#go(reader, reading);
			});
		} finally {
			reading.running = false;
		}
	}
}

export function tooLarge(bytes: number): Error {
	return storeError("message_too_large", `A message of ${bytes} bytes; ${maxStreamMessageBytes} is the most.`);
}
