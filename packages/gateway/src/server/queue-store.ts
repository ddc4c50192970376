import { type Logger, messageOf } from "@warren/kernel";
import type { Statements } from "@warren/store";
import type { QueuedRow, QueueState } from "../protocol/index.ts";
import { type Committed, type GatewayQueues, type QueueRow, rowOf, statesOf, type Write } from "./gateway-store.ts";
import type { SqliteMeshRows } from "./sqlite-mesh-rows.ts";

/** What to forget can wait for a disk that refuses; it comes twice then, and its receiver knows its id. */
const maxKeptWrites = 10_000;

/** Queues on disk. Writes of one turn of the event loop are one transaction. */
export class QueueStore implements GatewayQueues {
	readonly #statements: Statements;
	readonly #meshes: SqliteMeshRows;
	readonly #logger: Logger;
	#writes: Write[] = [];

	constructor(statements: Statements, meshes: SqliteMeshRows, logger: Logger) {
		this.#statements = statements;
		this.#meshes = meshes;
		this.#logger = logger;
	}

	/** @returns whether it is the first since the last `commit`. */
	add(write: Write): boolean {
		return this.#writes.push(write) === 1;
	}

	commit(): Committed {
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
		return statesOf(
			this.#statements.all(
				"SELECT mesh_id, from_mesh, max(seq) AS last, count(*) AS count, sum(bytes) AS bytes FROM gateway_queue GROUP BY mesh_id, from_mesh",
			),
		);
	}

	/** Drops what is too old, of meshes that are away. */
	expire(now: number, isAway: (meshId: string) => boolean, limit: number): Map<string, QueuedRow[]> {
		const gone = new Map<string, QueuedRow[]>();
		// By mesh: what those that are connected have not acknowledged must not stand in the others' way.
		const meshes = this.#statements.all<{ mesh_id: string }>(
			"SELECT DISTINCT mesh_id FROM gateway_queue WHERE expires_at <= ?",
			now,
		);
		let left = limit;
		this.#statements.transaction(() => {
			for (const { mesh_id } of meshes) {
				if (left === 0 || !isAway(mesh_id)) continue;
				const rows = this.#statements.all<QueueRow>(
					"SELECT seq, from_mesh, message_id, '' AS body, bytes, expires_at FROM gateway_queue WHERE mesh_id = ? AND expires_at <= ? LIMIT ?",
					mesh_id,
					now,
					left,
				);
				for (const { seq } of rows)
					this.#statements.run("DELETE FROM gateway_queue WHERE mesh_id = ? AND seq = ?", mesh_id, seq);
				if (rows.length > 0) gone.set(mesh_id, rows.map(rowOf));
				left -= rows.length;
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
				return this.#meshes.save(write.record);
		}
	}
}
