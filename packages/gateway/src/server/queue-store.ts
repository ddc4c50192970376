import { type Logger, messageOf } from "@warren/kernel";
import type { Statements } from "@warren/store";
import type { Delivery, MeshRecord, QueuedRow, QueueState } from "../protocol/index.ts";
import type { Registry } from "./registry.ts";

type Write =
	| { readonly kind: "enqueue"; readonly delivery: Delivery }
	| { readonly kind: "dequeue"; readonly meshId: string; readonly seqs: readonly number[] }
	| { readonly kind: "save"; readonly record: MeshRecord };

/** What to forget can wait for a disk that refuses; it comes twice then, and its receiver knows its id. */
const maxKeptWrites = 10_000;

/** Queues on disk. Writes of one turn of the event loop are one transaction. */
export class QueueStore {
	readonly #statements: Statements;
	readonly #registry: Registry;
	readonly #logger: Logger;
	#writes: Write[] = [];

	constructor(statements: Statements, registry: Registry, logger: Logger) {
		this.#statements = statements;
		this.#registry = registry;
		this.#logger = logger;
	}

	/** @returns whether it is the first since the last `commit`. */
	add(write: Write): boolean {
		return this.#writes.push(write) === 1;
	}

	/** Everything, or nothing of it. @returns what was to be enqueued, and whether it is on disk. */
	commit(): { readonly deliveries: readonly Delivery[]; readonly ok: boolean } {
		const writes = this.#writes;
		this.#writes = [];
		const deliveries = writes.flatMap((write) => (write.kind === "enqueue" ? [write.delivery] : []));
		if (writes.length === 0) return { deliveries, ok: true };
		try {
			this.#statements.transaction(() => {
				for (const write of writes) this.#write(write);
			});
			return { deliveries, ok: true };
		} catch (failure) {
			this.#logger.error("the gateway's queue cannot be written", { fault: messageOf(failure) });
			this.#writes = writes.filter((write) => write.kind !== "enqueue").slice(0, maxKeptWrites);
			return { deliveries, ok: false };
		}
	}

	load(meshId: string, after: number, limit: number): QueuedRow[] {
		return this.#statements
			.all<QueueRow>(
				"SELECT seq, from_mesh, message_id, body, bytes, expires_at FROM gateway_queue WHERE mesh_id = ? AND seq > ? ORDER BY seq LIMIT ?",
				meshId,
				after,
				limit,
			)
			.map(rowOf);
	}

	states(): QueueState[] {
		const states = new Map<string, QueueState & { bytesBySender: Record<string, number> }>();
		const groups = this.#statements.all<{
			mesh_id: string;
			from_mesh: string;
			last: number;
			count: number;
			bytes: number;
		}>(
			"SELECT mesh_id, from_mesh, max(seq) AS last, count(*) AS count, sum(bytes) AS bytes FROM gateway_queue GROUP BY mesh_id, from_mesh",
		);
		for (const group of groups) {
			const before = states.get(group.mesh_id);
			states.set(group.mesh_id, {
				meshId: group.mesh_id,
				lastSeq: Math.max(before?.lastSeq ?? 0, group.last),
				count: (before?.count ?? 0) + group.count,
				bytes: (before?.bytes ?? 0) + group.bytes,
				bytesBySender: { ...before?.bytesBySender, [group.from_mesh]: group.bytes },
			});
		}
		return [...states.values()];
	}

	/** Drops what is too old, of meshes that are away. */
	expire(now: number, isAway: (meshId: string) => boolean, limit: number): Map<string, QueuedRow[]> {
		const gone = new Map<string, QueuedRow[]>();
		const rows = this.#statements.all<QueueRow & { mesh_id: string }>(
			"SELECT mesh_id, seq, from_mesh, message_id, '' AS body, bytes, expires_at FROM gateway_queue WHERE expires_at <= ? LIMIT ?",
			now,
			limit,
		);
		this.#statements.transaction(() => {
			for (const row of rows) {
				if (!isAway(row.mesh_id)) continue;
				this.#statements.run("DELETE FROM gateway_queue WHERE mesh_id = ? AND seq = ?", row.mesh_id, row.seq);
				gone.set(row.mesh_id, [...(gone.get(row.mesh_id) ?? []), rowOf(row)]);
			}
		});
		return gone;
	}

	#write(write: Write): void {
		switch (write.kind) {
			case "enqueue": {
				const { mesh, seq, from, id, text, bytes, expiresAt } = write.delivery;
				this.#statements.run(
					"INSERT INTO gateway_queue (mesh_id, seq, from_mesh, message_id, body, bytes, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
					mesh.meshId,
					seq,
					from,
					id,
					text,
					bytes,
					expiresAt,
				);
				return;
			}
			case "dequeue":
				for (const seq of write.seqs)
					this.#statements.run("DELETE FROM gateway_queue WHERE mesh_id = ? AND seq = ?", write.meshId, seq);
				return;
			case "save":
				return this.#registry.save(write.record);
		}
	}
}

interface QueueRow {
	readonly seq: number;
	readonly from_mesh: string;
	readonly message_id: string;
	readonly body: string;
	readonly bytes: number;
	readonly expires_at: number;
}

function rowOf(row: QueueRow): QueuedRow {
	return {
		seq: row.seq,
		from: row.from_mesh,
		id: row.message_id,
		text: row.body,
		bytes: row.bytes,
		expiresAt: row.expires_at,
	};
}
