import type { Delivery, MeshRecord, QueuedRow, QueueState } from "../protocol/index.ts";

export type Write =
	| { readonly kind: "enqueue"; readonly delivery: Delivery }
	| { readonly kind: "dequeue"; readonly meshId: string; readonly seqs: readonly number[] }
	| { readonly kind: "save"; readonly record: MeshRecord };

export interface Committed {
	/** What was to be enqueued. */
	readonly deliveries: readonly Delivery[];
	/** Whether it is on disk: everything, or nothing of it. */
	readonly ok: boolean;
}

type Soon<T> = T | Promise<T>;

/** The queues, in a file or in a database that several instances share. What was added before is read after it. */
export interface GatewayQueues {
	/** @returns whether it is the first since the last `commit`. */
	add(write: Write): boolean;
	commit(): Soon<Committed>;
	/** Rows of a mesh with `seq` above `after`, oldest first. */
	load(meshId: string, after: number, limit: number): Soon<QueuedRow[]>;
	/** Drops what is too old, of meshes that are away. */
	expire(now: number, isAway: (meshId: string) => boolean, limit: number): Soon<Map<string, QueuedRow[]>>;
}

export interface MeshRow {
	readonly mesh_id: string;
	readonly name: string;
	/** `SecretHash` as JSON. */
	readonly secret: string;
	readonly public_key: string | null;
	readonly durable: number;
	readonly rooms: string | null;
	readonly allow: string | null;
	readonly block: string;
}

/** Registrations. */
export interface MeshRows {
	find(meshId: string): Soon<MeshRow | null>;
	count(): Soon<number>;
	/** @returns false when somebody else has the name. */
	insert(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, now: number): Soon<boolean>;
	/** Only over the secret that was proved. @returns false when another change came first. */
	update(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, proved: string): Soon<boolean>;
}

/** All that a gateway keeps, and what of it there is at its start. */
export interface GatewayStore {
	readonly meshes: MeshRows;
	readonly queues: GatewayQueues;
	/** Those with something kept. */
	readonly records: readonly MeshRecord[];
	readonly states: readonly QueueState[];
}

export function recordsOf(rows: readonly MeshRow[]): MeshRecord[] {
	return rows.map((row) => ({
		meshId: row.mesh_id,
		name: row.name,
		durable: row.durable === 1,
		rooms: parseList(row.rooms),
		allow: parseList(row.allow),
		block: parseList(row.block) ?? [],
	}));
}

/** A record as its row's columns. */
export function columnsOf(record: MeshRecord) {
	return {
		durable: record.durable ? 1 : 0,
		rooms: record.rooms === null ? null : JSON.stringify(record.rooms),
		allow: record.allow === null ? null : JSON.stringify(record.allow),
		block: JSON.stringify(record.block),
	};
}

export interface QueueRow {
	readonly seq: number;
	readonly from_mesh: string;
	readonly message_id: string;
	readonly body: string;
	readonly bytes: number;
	readonly expires_at: number;
}

export function rowOf(row: QueueRow): QueuedRow {
	return {
		seq: Number(row.seq),
		from: row.from_mesh,
		id: row.message_id,
		text: row.body,
		bytes: Number(row.bytes),
		expiresAt: Number(row.expires_at),
	};
}

/** What one sender has in one mesh's queue, summed up to queues. */
export function statesOf(
	groups: readonly { mesh_id: string; from_mesh: string; last: number; count: number; bytes: number }[],
): QueueState[] {
	const states = new Map<string, QueueState & { bytesBySender: Record<string, number> }>();
	for (const group of groups) {
		const before = states.get(group.mesh_id);
		states.set(group.mesh_id, {
			meshId: group.mesh_id,
			lastSeq: Math.max(before?.lastSeq ?? 0, Number(group.last)),
			count: (before?.count ?? 0) + Number(group.count),
			bytes: (before?.bytes ?? 0) + Number(group.bytes),
			bytesBySender: { ...before?.bytesBySender, [group.from_mesh]: Number(group.bytes) },
		});
	}
	return [...states.values()];
}

function parseList(text: string | null): string[] | null {
	return text === null ? null : (JSON.parse(text) as string[]);
}
