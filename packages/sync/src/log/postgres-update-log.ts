import type { Clock } from "@warren/kernel";
import { postgresFailure } from "@warren/store";
import { type Kysely, sql, type Transaction } from "kysely";
import { syncError } from "../errors.ts";
import {
	type AppendBatch,
	type Checkpoint,
	type NewSnapshot,
	type NewUpdate,
	type RoomHead,
	type StoredUpdate,
	snapshotChunkBytes,
	type UpdateLog,
} from "./update-log.ts";

interface HeadRow {
	readonly head: number;
	readonly tail_count: number;
	readonly tail_bytes: number;
	readonly snapshot_upto: number;
	readonly snapshot_bytes: number;
	readonly snapshot_hash: string;
	readonly quarantine: string | null;
	readonly coverage: Uint8Array | null;
}

type Db = Kysely<any> | Transaction<any>;

/** Rows read at a time when a log is read. */
const pageRows = 256;
/** Chunks under this kind are the snapshot in use. */
const current = 0;

/**
 * The log in PostgreSQL, written by several relays at once. A commit is one statement and one answer, however many
 * rooms wrote; it takes its rooms in one order, so that two commits never wait for each other crosswise.
 */
export class PostgresUpdateLog implements UpdateLog {
	readonly #db: Kysely<any>;
	readonly #clock: Clock;

	/** @param db of PostgreSQL tables opened with `syncLogSchema`. */
	constructor(db: Kysely<any>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	async append(batches: readonly AppendBatch[]): Promise<number[]> {
		const rooms = new Map<string, NewUpdate[]>();
		// A room that was closed and opened again may stand here twice.
		const offsets = batches.map(({ room, updates }) => {
			const gathered = rooms.get(room) ?? [];
			rooms.set(room, gathered);
			return gathered.push(...updates) - updates.length;
		});
		const sorted = [...rooms].sort(([a], [b]) => (a < b ? -1 : 1));
		const sizes = sorted.map(([, updates]) => updates.reduce((sum, each) => sum + each.update.length, 0));
		const flat = sorted.flatMap(([room, updates]) =>
			updates.map((each, index) => ({ room, back: updates.length - 1 - index, ...each })),
		);
		const { rows } = await this.#written(
			sql<{ room: string; head: number }>`
				WITH grown AS (
					INSERT INTO sync_rooms AS r
						(room, head, tail_count, tail_bytes, snapshot_upto, snapshot_bytes, snapshot_hash)
					SELECT room, count, count, bytes, 0, 0, ''
					FROM unnest(
						${sorted.map(([room]) => room)}::text[],
						${sorted.map(([, updates]) => updates.length)}::bigint[],
						${sizes}::bigint[]) AS n (room, count, bytes)
					ON CONFLICT (room) DO UPDATE SET
						head = r.head + excluded.head,
						tail_count = r.tail_count + excluded.tail_count,
						tail_bytes = r.tail_bytes + excluded.tail_bytes
					RETURNING room, head),
				written AS (
					INSERT INTO sync_updates (room, seq, bytes, owner, at)
					SELECT u.room, grown.head - u.back, u.bytes, u.owner, ${this.#clock.now()}::bigint
					FROM unnest(
						${flat.map((each) => each.room)}::text[],
						${flat.map((each) => each.back)}::bigint[],
						${flat.map((each) => Buffer.from(each.update))}::bytea[],
						${flat.map((each) => each.owner)}::text[]) AS u (room, back, bytes, owner)
					JOIN grown ON grown.room = u.room)
				SELECT room, head FROM grown`.execute(this.#db),
		);
		const heads = new Map(rows.map((row) => [row.room, row.head]));
		return batches.map(({ room }, index) => {
			const count = rooms.get(room)?.length ?? 0;
			return (heads.get(room) as number) - count + 1 + (offsets[index] as number);
		});
	}

	async head(room: string): Promise<RoomHead> {
		const row = await this.#row(this.#db, room);
		if (row === undefined) return { head: 0, tail: { count: 0, bytes: 0 }, snapshot: null, quarantine: null };
		const { snapshot_upto: upto, snapshot_bytes: bytes, snapshot_hash: hash, coverage } = row;
		return {
			head: row.head,
			tail: { count: row.tail_count, bytes: row.tail_bytes },
			snapshot: coverage === null ? null : { upto, bytes, coverage, hash },
			quarantine: row.quarantine,
		};
	}

	async heads(rooms: readonly string[]): Promise<ReadonlyMap<string, number>> {
		if (rooms.length === 0) return new Map();
		const { rows } = await sql<{
			room: string;
			head: number;
		}>`SELECT room, head FROM sync_rooms WHERE room = ANY(${[...rooms]}::text[])`.execute(this.#db);
		return new Map(rows.filter(({ head }) => head > 0).map(({ room, head }) => [room, head]));
	}

	async read(room: string, after: number, maxBytes: number): Promise<StoredUpdate[]> {
		const updates: StoredUpdate[] = [];
		let bytes = 0;
		for (let from = after; ; ) {
			// The running sum keeps what is not asked for off the wire.
			const { rows } = await sql<{ seq: number; bytes: Uint8Array }>`
				SELECT seq, bytes FROM (
					SELECT seq, bytes, sum(length(bytes)) OVER (ORDER BY seq) - length(bytes) AS before FROM (
						SELECT seq, bytes FROM sync_updates WHERE room = ${room} AND seq > ${from}
						ORDER BY seq LIMIT ${pageRows}) AS page) AS summed
				WHERE before < ${maxBytes - bytes}::numeric ORDER BY seq`.execute(this.#db);
			for (const row of rows) {
				updates.push({ seq: row.seq, update: plain(row.bytes) });
				bytes += row.bytes.length;
				from = row.seq;
				if (bytes >= maxBytes) return updates;
			}
			if (rows.length < pageRows) return updates;
		}
	}

	async snapshot(room: string): Promise<Uint8Array | null> {
		// One state of both, whatever is being compacted.
		return this.#snapshotOf(room);
	}

	async compact(room: string, snapshot: NewSnapshot, replaces: number): Promise<boolean> {
		return this.#transaction(async (db) => {
			const row = await this.#locked(db, room);
			if (row === undefined || row.snapshot_upto !== replaces || snapshot.upto > row.head) return false;
			await this.#replaceChunks(db, room, current, snapshot.update);
			await sql`INSERT INTO sync_coverage (room, bytes) VALUES (${room}, ${Buffer.from(snapshot.coverage)})
				ON CONFLICT (room) DO UPDATE SET bytes = excluded.bytes`.execute(db);
			await sql`DELETE FROM sync_updates WHERE room = ${room} AND seq <= ${snapshot.upto}`.execute(db);
			await sql`UPDATE sync_rooms SET
					snapshot_upto = ${snapshot.upto}, snapshot_bytes = ${snapshot.update.length},
					snapshot_hash = ${snapshot.hash}, tail_count = tail.count, tail_bytes = tail.bytes
				FROM (SELECT count(*) AS count, coalesce(sum(length(bytes)), 0) AS bytes
					FROM sync_updates WHERE room = ${room}) AS tail
				WHERE room = ${room}`.execute(db);
			return true;
		});
	}

	async checkpoint(room: string, label: string, at: number, keep: number): Promise<Checkpoint | null> {
		return this.#transaction(async (db) => {
			const row = await this.#locked(db, room);
			const update = await this.#chunks(db, room, current);
			if (row === undefined || row.snapshot_upto === 0 || update === null) return null;
			const { rows } = await sql<Checkpoint>`INSERT INTO sync_checkpoints (room, at, upto, bytes, hash, label)
				VALUES (${room}, ${at}, ${row.snapshot_upto}, ${update.length}, ${row.snapshot_hash}, ${label})
				RETURNING id, at, upto, bytes, hash, label`.execute(db);
			const made = rows[0] as Checkpoint;
			await this.#replaceChunks(db, room, made.id, update);
			for (const old of (await this.#listCheckpoints(db, room)).slice(keep)) {
				await sql`DELETE FROM sync_checkpoints WHERE id = ${old.id}`.execute(db);
				await sql`DELETE FROM sync_chunks WHERE room = ${room} AND kind = ${old.id}`.execute(db);
			}
			return made;
		});
	}

	checkpoints(room: string): Promise<Checkpoint[]> {
		return this.#listCheckpoints(this.#db, room);
	}

	async checkpointUpdate(room: string, id: number): Promise<Uint8Array | null> {
		return id === current ? null : this.#chunks(this.#db, room, id);
	}

	async quarantine(room: string, reason: string | null): Promise<void> {
		await this.#written(
			sql`INSERT INTO sync_rooms (room, head, tail_count, tail_bytes, snapshot_upto, snapshot_bytes, snapshot_hash, quarantine)
				VALUES (${room}, 0, 0, 0, 0, 0, '', ${reason}) ON CONFLICT (room) DO UPDATE SET quarantine = excluded.quarantine`.execute(
				this.#db,
			),
		);
	}

	async drop(room: string): Promise<void> {
		await this.#transaction(async (db) => {
			// The row first: an append that is on its way waits, and begins the room anew.
			for (const table of ["sync_rooms", "sync_updates", "sync_chunks", "sync_coverage", "sync_checkpoints"])
				await sql`DELETE FROM ${sql.table(table)} WHERE room = ${room}`.execute(db);
		});
	}

	async rooms(): Promise<string[]> {
		const { rows } = await sql<{ room: string }>`SELECT room FROM sync_rooms ORDER BY room COLLATE "C"`.execute(
			this.#db,
		);
		return rows.map((row) => row.room);
	}

	/** Length and pieces in one statement, which sees one state of the tables. */
	async #snapshotOf(room: string): Promise<Uint8Array | null> {
		const { rows } = await sql<{ upto: number; expected: number; bytes: Uint8Array | null }>`
			SELECT r.snapshot_upto AS upto, r.snapshot_bytes AS expected, c.bytes
			FROM sync_rooms r LEFT JOIN sync_chunks c ON c.room = r.room AND c.kind = ${current}
			WHERE r.room = ${room} ORDER BY c.part`.execute(this.#db);
		const [first] = rows;
		if (first === undefined || first.upto === 0) return null;
		const parts = rows.flatMap((row) => (row.bytes === null ? [] : [row.bytes]));
		const update = plain(parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts));
		if (update.length !== first.expected) {
			throw syncError(
				"log_damaged",
				`The snapshot of "${room}" should have ${first.expected} bytes and has ${update.length}.`,
				{ fix: "Restore one of its checkpoints, or the backup." },
			);
		}
		return update;
	}

	async #row(db: Db, room: string): Promise<HeadRow | undefined> {
		const { rows } = await sql<HeadRow>`SELECT r.*, c.bytes AS coverage FROM sync_rooms r
			LEFT JOIN sync_coverage c ON c.room = r.room WHERE r.room = ${room}`.execute(db);
		return rows[0];
	}

	/** Nobody appends or compacts until the transaction ends. */
	async #locked(db: Db, room: string): Promise<HeadRow | undefined> {
		const { rows } = await sql<HeadRow>`SELECT * FROM sync_rooms WHERE room = ${room} FOR UPDATE`.execute(db);
		return rows[0];
	}

	async #chunks(db: Db, room: string, kind: number): Promise<Uint8Array | null> {
		const { rows } = await sql<{
			bytes: Uint8Array;
		}>`SELECT bytes FROM sync_chunks WHERE room = ${room} AND kind = ${kind} ORDER BY part`.execute(db);
		if (rows.length === 0) return null;
		return plain(
			rows.length === 1 ? (rows[0] as { bytes: Uint8Array }).bytes : Buffer.concat(rows.map((row) => row.bytes)),
		);
	}

	async #replaceChunks(db: Db, room: string, kind: number, bytes: Uint8Array): Promise<void> {
		await sql`DELETE FROM sync_chunks WHERE room = ${room} AND kind = ${kind}`.execute(db);
		for (let part = 0; part * snapshotChunkBytes < bytes.length; part++) {
			const chunk = Buffer.from(bytes.subarray(part * snapshotChunkBytes, (part + 1) * snapshotChunkBytes));
			await sql`INSERT INTO sync_chunks (room, kind, part, bytes) VALUES (${room}, ${kind}, ${part}, ${chunk})`.execute(
				db,
			);
		}
	}

	async #listCheckpoints(db: Db, room: string): Promise<Checkpoint[]> {
		const { rows } = await sql<Checkpoint>`SELECT id, at, upto, bytes, hash, label FROM sync_checkpoints
			WHERE room = ${room} ORDER BY id DESC`.execute(db);
		return [...rows];
	}

	#transaction<T>(work: (db: Transaction<any>) => Promise<T>): Promise<T> {
		return this.#written(this.#db.transaction().execute(work));
	}

	async #written<T>(work: Promise<T>): Promise<T> {
		try {
			return await work;
		} catch (cause) {
			throw postgresFailure(cause);
		}
	}
}

/** Not the driver's own class: what is compared and transferred is bytes. */
function plain(bytes: Uint8Array): Uint8Array {
	return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
