/** An update on its way into the log. */
export interface NewUpdate {
	readonly update: Uint8Array;
	/** `describeIdentity` of who sent it. */
	readonly owner: string;
}

export interface AppendBatch {
	readonly room: string;
	readonly updates: readonly NewUpdate[];
}

export interface StoredUpdate {
	readonly seq: number;
	readonly update: Uint8Array;
}

/** What stands for a room, without its bytes. */
export interface RoomHead {
	/** Number of the last update; 0 when nothing was ever written. */
	readonly head: number;
	readonly tail: { readonly count: number; readonly bytes: number };
	readonly snapshot: SnapshotMeta | null;
	/** Why the room is quarantined, or null. */
	readonly quarantine: string | null;
}

export interface SnapshotMeta {
	/** The snapshot holds every update up to this number. */
	readonly upto: number;
	readonly bytes: number;
	/** `Coverage.encode` of what it holds. */
	readonly coverage: Uint8Array;
	/** `documentHash`, hex: equal for equal documents. */
	readonly hash: string;
}

export interface NewSnapshot {
	readonly upto: number;
	readonly update: Uint8Array;
	readonly coverage: Uint8Array;
	readonly hash: string;
}

export interface Checkpoint {
	readonly id: number;
	/** Milliseconds since the Unix epoch. */
	readonly at: number;
	readonly upto: number;
	readonly bytes: number;
	readonly hash: string;
	/** Why it was made: `periodic`, or what a restore kept. */
	readonly label: string;
}

/**
 * Where rooms' bytes live. Whatever a method has resolved is on disk. In a file one relay writes a room at a time; in a
 * shared database several may: numbers follow the order of commits, so a number that shows means that all before it do.
 */
export interface UpdateLog {
	/** All of it in one transaction, or nothing. @returns the number of each batch's first update. @throws WarrenError `store_full`, `store_failed`, `store_away` (perhaps it was written). */
	append(batches: readonly AppendBatch[]): Promise<number[]>;
	head(room: string): Promise<RoomHead>;
	/** The number of the last update of each; a room without any is left out. */
	heads(rooms: readonly string[]): Promise<ReadonlyMap<string, number>>;
	/** In order, beginning after `after`; stops once `maxBytes` are passed, but gives one at least. */
	read(room: string, after: number, maxBytes: number): Promise<StoredUpdate[]>;
	/** The snapshot as one update, or null. @throws WarrenError `log_damaged`. */
	snapshot(room: string): Promise<Uint8Array | null>;
	/**
	 * Puts a snapshot in place and drops the updates that it holds, in one transaction.
	 * @param replaces `upto` of the snapshot that it was made from (0 = none).
	 * @returns false when another has been put there meanwhile: nothing was changed.
	 */
	compact(room: string, snapshot: NewSnapshot, replaces: number): Promise<boolean>;
	/** Copies the snapshot as it stands into the history. @returns null when there is none. The oldest beyond `keep` go. */
	checkpoint(room: string, label: string, at: number, keep: number): Promise<Checkpoint | null>;
	/** Newest first. */
	checkpoints(room: string): Promise<Checkpoint[]>;
	checkpointUpdate(room: string, id: number): Promise<Uint8Array | null>;
	quarantine(room: string, reason: string | null): Promise<void>;
	/** Everything of the room, history included. */
	drop(room: string): Promise<void>;
	/** Rooms that have bytes. */
	rooms(): Promise<string[]>;
}

/** Bytes of a stored piece of a snapshot: below the 2 MB that the smallest store takes in one value. */
export const snapshotChunkBytes = 1024 * 1024;
