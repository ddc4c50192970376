import { type Clock, type NodeId, newId, type Random } from "@warren/kernel";
import type { Schema } from "@warren/store";
import type { Kysely } from "kysely";

export interface NodeTables {
	/** One row: this installation. */
	node_identity: { id: string; created_at: number };
}

export const nodeSchema: Schema = {
	domain: "node",
	migrations: {
		"001-identity": {
			async up(db) {
				await db.schema
					.createTable("node_identity")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};

/**
 * This installation's own identifier, made with its data folder and kept for as long.
 * @param given the one that the hub gave when it joined, for a folder that has none yet.
 */
export async function openNodeIdentity(
	db: Kysely<NodeTables>,
	random: Random,
	clock: Clock,
	given: string | null,
): Promise<{ readonly id: NodeId }> {
	const row = await db.selectFrom("node_identity").select("id").executeTakeFirst();
	if (row !== undefined) return { id: row.id as NodeId };
	const id = (given ?? newId(random)) as NodeId;
	await db.insertInto("node_identity").values({ id, created_at: clock.now() }).execute();
	return { id };
}
