import { type Clock, delay, WarrenError } from "@warren/kernel";
import type { Statements } from "@warren/store";
import { syncError } from "../errors.ts";
import {
	type AppendBatch,
	type Checkpoint,
	type NewSnapshot,
	type RoomHead,
	type StoredUpdate,
	snapshotChunkBytes,
	type UpdateLog,
} from "./update-log.ts";

interface RoomRow {
	head: number;
	tail_count: number;
	tail_bytes: number;
	snapshot_upto: number;
	snapshot_bytes: number;
	snapshot_hash: string;
	quarantine: string | null;
}

/** Rows read at a time when a log is read. */
const pageRows = 256;
/** A transaction of others that shares this connection takes a few turns; above a second something is wrong. */
const busyMs = 5;
const maxAttempts = 200;
/** Chunks under this kind are the snapshot in use; above it checkpoints, below it updates too large for one value. */
const current = 0;
const nothing = new Uint8Array(0);

/** The log in a SQLite file: a commit is one fsync, however many rooms wrote. */
export class SqliteUpdateLog implements UpdateLog {
	readonly #sql: Statements;
	readonly #clock: Clock;
	readonly #maxValueBytes: number;

	/**
	 * @param statements of tables opened with `syncLogSchema`, WAL and synchronous FULL.
	 * @param options.maxValueBytes what the database takes in one value, where that is less than an update may have.
	 */
	constructor(statements: Statements, clock: Clock, options: { readonly maxValueBytes?: number } = {}) {
		this.#sql = statements;
		this.#clock = clock;
		this.#maxValueBytes = options.maxValueBytes ?? Number.POSITIVE_INFINITY;
	}

	async append(batches: readonly AppendBatch[]): Promise<number[]> {
		const at = this.#clock.now();
		return this.#transaction(() => batches.map((batch) => this.#append(batch, at)));
	}

	async head(room: string): Promise<RoomHead> {
		const row = this.#row(room);
		if (row === undefined) return { head: 0, tail: { count: 0, bytes: 0 }, snapshot: null, quarantine: null };
		const { snapshot_upto: upto, snapshot_bytes: bytes, snapshot_hash: hash } = row;
		const coverage = this.#coverage(room);
		return {
			head: row.head,
			tail: { count: row.tail_count, bytes: row.tail_bytes },
			snapshot: coverage === null ? null : { upto, bytes, coverage, hash },
			quarantine: row.quarantine,
		};
	}

	async heads(rooms: readonly string[]): Promise<ReadonlyMap<string, number>> {
		return new Map(rooms.map((room) => [room, this.#row(room)?.head ?? 0] as const).filter(([, head]) => head > 0));
	}

	async read(room: string, after: number, maxBytes: number): Promise<StoredUpdate[]> {
		const updates: StoredUpdate[] = [];
		let bytes = 0;
		for (let from = after; ; ) {
			const page = this.#sql.all<{ seq: number; bytes: Uint8Array }>(
				"SELECT seq, bytes FROM sync_updates WHERE room = ? AND seq > ? ORDER BY seq LIMIT ?",
				room,
				from,
				pageRows,
			);
			for (const row of page) {
				// No update is empty: one that is stands in pieces.
				const update = row.bytes.length > 0 ? row.bytes : this.#pieces(room, row.seq);
				updates.push({ seq: row.seq, update });
				bytes += update.length;
				from = row.seq;
				if (bytes >= maxBytes) return updates;
			}
			if (page.length < pageRows) return updates;
		}
	}

	async snapshot(room: string): Promise<Uint8Array | null> {
		const row = this.#row(room);
		if (row === undefined || row.snapshot_upto === 0) return null;
		const update = this.#chunks(room, current);
		if (update === null || update.length !== row.snapshot_bytes) {
			throw syncError(
				"log_damaged",
				`The snapshot of "${room}" should have ${row.snapshot_bytes} bytes and has ${update?.length ?? 0}.`,
				{ fix: "Restore one of its checkpoints, or the backup." },
			);
		}
		return update;
	}

	async compact(room: string, snapshot: NewSnapshot, replaces: number): Promise<boolean> {
		return this.#transaction(() => {
			const row = this.#row(room);
			if (row === undefined || row.snapshot_upto !== replaces || snapshot.upto > row.head) return false;
			this.#replaceChunks(room, current, snapshot.update);
			this.#sql.run("INSERT OR REPLACE INTO sync_coverage (room, bytes) VALUES (?, ?)", room, snapshot.coverage);
			this.#sql.run("DELETE FROM sync_updates WHERE room = ? AND seq <= ?", room, snapshot.upto);
			this.#sql.run("DELETE FROM sync_chunks WHERE room = ? AND kind < 0 AND kind >= ?", room, -snapshot.upto);
			const [tail] = this.#sql.all<{ count: number; bytes: number }>(
				"SELECT count(*) AS count, coalesce(sum(length(bytes)), 0) AS bytes FROM sync_updates WHERE room = ?",
				room,
			);
			this.#sql.run(
				"UPDATE sync_rooms SET snapshot_upto = ?, snapshot_bytes = ?, snapshot_hash = ?, tail_count = ?, tail_bytes = ? WHERE room = ?",
				snapshot.upto,
				snapshot.update.length,
				snapshot.hash,
				tail?.count ?? 0,
				tail?.bytes ?? 0,
				room,
			);
			return true;
		});
	}

	async checkpoint(room: string, label: string, at: number, keep: number): Promise<Checkpoint | null> {
		return this.#transaction(() => {
			const row = this.#row(room);
			const update = this.#chunks(room, current);
			if (row === undefined || row.snapshot_upto === 0 || update === null) return null;
			this.#sql.run(
				"INSERT INTO sync_checkpoints (room, at, upto, bytes, hash, label) VALUES (?, ?, ?, ?, ?, ?)",
				room,
				at,
				row.snapshot_upto,
				update.length,
				row.snapshot_hash,
				label,
			);
			const [made] = this.#listCheckpoints(room);
			if (made === undefined) return null;
			this.#replaceChunks(room, made.id, update);
			for (const old of this.#listCheckpoints(room).slice(keep)) {
				this.#sql.run("DELETE FROM sync_checkpoints WHERE id = ?", old.id);
				this.#sql.run("DELETE FROM sync_chunks WHERE room = ? AND kind = ?", room, old.id);
			}
			return made;
		});
	}

	async checkpoints(room: string): Promise<Checkpoint[]> {
		return this.#listCheckpoints(room);
	}

	async checkpointUpdate(room: string, id: number): Promise<Uint8Array | null> {
		return id === current ? null : this.#chunks(room, id);
	}

	async quarantine(room: string, reason: string | null): Promise<void> {
		await this.#transaction(() => {
			this.#ensure(room);
			this.#sql.run("UPDATE sync_rooms SET quarantine = ? WHERE room = ?", reason, room);
		});
	}

	async drop(room: string): Promise<void> {
		await this.#transaction(() => {
			for (const table of ["sync_updates", "sync_chunks", "sync_coverage", "sync_checkpoints", "sync_rooms"])
				this.#sql.run(`DELETE FROM ${table} WHERE room = ?`, room);
		});
	}

	async rooms(): Promise<string[]> {
		return this.#sql.all<{ room: string }>("SELECT room FROM sync_rooms ORDER BY room").map((row) => row.room);
	}

	/** Waits while somebody else's transaction is open on this connection. */
	async #transaction<T>(work: () => T): Promise<T> {
		for (let attempt = 1; ; attempt++) {
			try {
				return this.#sql.transaction(work);
			} catch (fault) {
				const busy = fault instanceof WarrenError && fault.code === "store_busy";
				if (!busy || attempt >= maxAttempts) throw fault;
				await delay(this.#clock, busyMs);
			}
		}
	}

	#append(batch: AppendBatch, at: number): number {
		const count = batch.updates.length;
		const bytes = batch.updates.reduce((sum, each) => sum + each.update.length, 0);
		const first = (this.#advance(batch.room, count, bytes) ?? this.#begin(batch.room, count, bytes)) - count + 1;
		batch.updates.forEach(({ update, owner }, index) => {
			const whole = update.length <= this.#maxValueBytes;
			this.#sql.run(
				"INSERT INTO sync_updates (room, seq, bytes, owner, at) VALUES (?, ?, ?, ?, ?)",
				batch.room,
				first + index,
				whole ? update : nothing,
				owner,
				at,
			);
			if (!whole) this.#replaceChunks(batch.room, -(first + index), update);
		});
		return first;
	}

	/** @returns the new head, or null when the room has no row yet. */
	#advance(room: string, count: number, bytes: number): number | null {
		const [row] = this.#sql.all<{ head: number }>(
			"UPDATE sync_rooms SET head = head + ?, tail_count = tail_count + ?, tail_bytes = tail_bytes + ? WHERE room = ? RETURNING head",
			count,
			count,
			bytes,
			room,
		);
		return row?.head ?? null;
	}

	#begin(room: string, count: number, bytes: number): number {
		this.#ensure(room);
		return this.#advance(room, count, bytes) ?? count;
	}

	#coverage(room: string): Uint8Array | null {
		const [row] = this.#sql.all<{ bytes: Uint8Array }>("SELECT bytes FROM sync_coverage WHERE room = ?", room);
		return row?.bytes ?? null;
	}

	#ensure(room: string): void {
		this.#sql.run(
			"INSERT INTO sync_rooms (room, head, tail_count, tail_bytes, snapshot_upto, snapshot_bytes, snapshot_hash) VALUES (?, 0, 0, 0, 0, 0, '') ON CONFLICT DO NOTHING",
			room,
		);
	}

	#row(room: string): RoomRow | undefined {
		return this.#sql.all<RoomRow>("SELECT * FROM sync_rooms WHERE room = ?", room)[0];
	}

	#chunks(room: string, kind: number): Uint8Array | null {
		const parts = this.#sql.all<{ bytes: Uint8Array }>(
			"SELECT bytes FROM sync_chunks WHERE room = ? AND kind = ? ORDER BY part",
			room,
			kind,
		);
		if (parts.length === 0) return null;
		return parts.length === 1
			? (parts[0] as { bytes: Uint8Array }).bytes
			: Buffer.concat(parts.map((each) => each.bytes));
	}

	#pieces(room: string, seq: number): Uint8Array {
		const update = this.#chunks(room, -seq);
		if (update === null) throw syncError("log_damaged", `Update ${seq} of "${room}" has lost its pieces.`);
		return update;
	}

	#replaceChunks(room: string, kind: number, bytes: Uint8Array): void {
		this.#sql.run("DELETE FROM sync_chunks WHERE room = ? AND kind = ?", room, kind);
		for (let part = 0; part * snapshotChunkBytes < bytes.length; part++) {
			const chunk = bytes.subarray(part * snapshotChunkBytes, (part + 1) * snapshotChunkBytes);
			this.#sql.run("INSERT INTO sync_chunks (room, kind, part, bytes) VALUES (?, ?, ?, ?)", room, kind, part, chunk);
		}
	}

	#listCheckpoints(room: string): Checkpoint[] {
		return this.#sql.all<Checkpoint>(
			"SELECT id, at, upto, bytes, hash, label FROM sync_checkpoints WHERE room = ? ORDER BY id DESC",
			room,
		);
	}
}
