import { type Logger, messageOf } from "@warren/kernel";
import { assertLeads } from "@warren/store";
import { type Kysely, sql, type Transaction } from "kysely";
import type { Delivery, MeshRecord, QueuedRow } from "../protocol/index.ts";
import {
	type Committed,
	columnsOf,
	type GatewayQueues,
	type GatewayStore,
	type MeshRow,
	type MeshRows,
	type QueueRow,
	recordsOf,
	rowOf,
	statesOf,
	type Write,
} from "./gateway-store.ts";

interface Tables {
	gateway_meshes: MeshRow & { created_at: number };
	gateway_queue: QueueRow & { mesh_id: string };
}

/** Writes that may wait for the database; beyond them what is new is sent back at once. */
const maxWaitingWrites = 10_000;
const rowsPerInsert = 500;

/** What an instance that leads under this epoch keeps: whatever it writes after another took over is refused. */
export async function openPostgresGatewayStore(
	db: Kysely<any>,
	role: string,
	epoch: number,
	logger: Logger,
): Promise<GatewayStore> {
	const tables = db as Kysely<Tables>;
	const kept = await tables
		.selectFrom("gateway_meshes")
		.selectAll()
		.where((row) => row.or([row("durable", "=", 1), row("allow", "is not", null), row("block", "<>", "[]")]))
		.execute();
	const { rows: groups } = await sql<{
		mesh_id: string;
		from_mesh: string;
		last: number;
		count: number;
		bytes: number;
	}>`
		select mesh_id, from_mesh, max(seq) as last, count(*) as count, sum(bytes) as bytes
		from gateway_queue group by mesh_id, from_mesh`.execute(tables);
	return {
		meshes: new PostgresMeshRows(tables),
		queues: new PostgresQueues(tables, (transaction) => assertLeads(transaction, role, epoch), logger),
		records: recordsOf(kept),
		states: statesOf(groups),
	};
}

class PostgresMeshRows implements MeshRows {
	readonly #db: Kysely<Tables>;

	constructor(db: Kysely<Tables>) {
		this.#db = db;
	}

	async find(meshId: string): Promise<MeshRow | null> {
		const row = await this.#db
			.selectFrom("gateway_meshes")
			.selectAll()
			.where("mesh_id", "=", meshId)
			.executeTakeFirst();
		return row ?? null;
	}

	async count(): Promise<number> {
		const { count } = await this.#db
			.selectFrom("gateway_meshes")
			.select((all) => all.fn.countAll<number>().as("count"))
			.executeTakeFirstOrThrow();
		return Number(count);
	}

	async insert(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, now: number): Promise<boolean> {
		const done = await this.#db
			.insertInto("gateway_meshes")
			.values({ ...row, durable: 0, rooms: null, allow: null, block: "[]", created_at: now })
			.onConflict((conflict) => conflict.doNothing())
			.executeTakeFirst();
		return Number(done.numInsertedOrUpdatedRows ?? 0) > 0;
	}

	async update(row: Pick<MeshRow, "mesh_id" | "name" | "secret" | "public_key">, proved: string): Promise<boolean> {
		const { mesh_id, ...changed } = row;
		const done = await this.#db
			.updateTable("gateway_meshes")
			.set(changed)
			.where("mesh_id", "=", mesh_id)
			.where("secret", "=", proved)
			.executeTakeFirst();
		return Number(done.numUpdatedRows) > 0;
	}
}

/** One transaction after another; what comes during one is the next one's. */
class PostgresQueues implements GatewayQueues {
	readonly #db: Kysely<Tables>;
	readonly #assertLeads: (transaction: Transaction<Tables>) => Promise<void>;
	readonly #logger: Logger;
	#writes: Write[] = [];
	#last: Promise<unknown> = Promise.resolve();

	constructor(db: Kysely<Tables>, leads: (transaction: Transaction<Tables>) => Promise<void>, logger: Logger) {
		this.#db = db;
		this.#assertLeads = leads;
		this.#logger = logger;
	}

	add(write: Write): boolean {
		return this.#writes.push(write) === 1;
	}

	commit(): Promise<Committed> {
		const done = this.#last.then(() => this.#commit());
		this.#last = done;
		return done;
	}

	async load(meshId: string, after: number, limit: number): Promise<QueuedRow[]> {
		await this.#last;
		const rows = await this.#db
			.selectFrom("gateway_queue")
			.selectAll()
			.where("mesh_id", "=", meshId)
			.where("seq", ">", after)
			.orderBy("seq")
			.limit(limit)
			.execute();
		return rows.map(rowOf);
	}

	async expire(now: number, isAway: (meshId: string) => boolean, limit: number): Promise<Map<string, QueuedRow[]>> {
		const gone = new Map<string, QueuedRow[]>();
		// By mesh: what those that are connected have not acknowledged must not stand in the others' way.
		const meshes = await this.#db
			.selectFrom("gateway_queue")
			.select("mesh_id")
			.distinct()
			.where("expires_at", "<=", now)
			.execute();
		let left = limit;
		await this.#db.transaction().execute(async (transaction) => {
			await this.#assertLeads(transaction);
			for (const { mesh_id } of meshes) {
				if (left === 0 || !isAway(mesh_id)) continue;
				const rows = await transaction
					.selectFrom("gateway_queue")
					.selectAll()
					.where("mesh_id", "=", mesh_id)
					.where("expires_at", "<=", now)
					.limit(left)
					.execute();
				if (rows.length === 0) continue;
				await dequeue(
					transaction,
					mesh_id,
					rows.map((row) => row.seq),
				);
				gone.set(mesh_id, rows.map(rowOf));
				left -= rows.length;
			}
		});
		return gone;
	}

	async #commit(): Promise<Committed> {
		const writes = this.#writes;
		this.#writes = [];
		const deliveries = writes.flatMap((write) => (write.kind === "enqueue" ? [write.delivery] : []));
		if (writes.length === 0) return { deliveries, ok: true };
		try {
			if (writes.length > maxWaitingWrites) throw new Error(`${writes.length} writes wait for the database`);
			await this.#db.transaction().execute(async (transaction) => {
				await this.#assertLeads(transaction);
				await enqueue(transaction, deliveries);
				for (const write of writes) {
					if (write.kind === "dequeue") await dequeue(transaction, write.meshId, write.seqs);
					else if (write.kind === "save") await save(transaction, write.record);
				}
			});
			return { deliveries, ok: true };
		} catch (failure) {
			this.#logger.error("the gateway's queue cannot be written", { fault: messageOf(failure) });
			// What to forget can wait; it comes twice else, and its receiver knows its id.
			const kept = writes.filter((write) => write.kind !== "enqueue").slice(0, maxWaitingWrites);
			this.#writes = [...kept, ...this.#writes];
			return { deliveries, ok: false };
		}
	}
}

async function enqueue(transaction: Transaction<Tables>, deliveries: readonly Delivery[]): Promise<void> {
	for (let at = 0; at < deliveries.length; at += rowsPerInsert)
		await transaction
			.insertInto("gateway_queue")
			.values(
				deliveries.slice(at, at + rowsPerInsert).map((each) => ({
					mesh_id: each.mesh.meshId,
					seq: each.seq,
					from_mesh: each.from,
					message_id: each.id,
					body: each.text,
					bytes: each.bytes,
					expires_at: each.expiresAt,
				})),
			)
			// An answer that was lost on its way: it stands already.
			.onConflict((conflict) => conflict.doNothing())
			.execute();
}

async function dequeue(transaction: Transaction<Tables>, meshId: string, seqs: readonly number[]): Promise<void> {
	await transaction.deleteFrom("gateway_queue").where("mesh_id", "=", meshId).where("seq", "in", seqs).execute();
}

async function save(transaction: Transaction<Tables>, record: MeshRecord): Promise<void> {
	await transaction.updateTable("gateway_meshes").set(columnsOf(record)).where("mesh_id", "=", record.meshId).execute();
}
