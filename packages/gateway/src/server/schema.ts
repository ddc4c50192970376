import type { Schema } from "@warren/store";

export const gatewaySchema: Schema = {
	domain: "gateway",
	migrations: {
		"001-meshes": {
			async up(db) {
				await db.schema
					.createTable("gateway_meshes")
					.addColumn("mesh_id", "text", (column) => column.primaryKey())
					.addColumn("name", "text", (column) => column.notNull())
					// `SecretHash` as JSON.
					.addColumn("secret", "text", (column) => column.notNull())
					// base64url of the raw 32 bytes, or null.
					.addColumn("public_key", "text")
					.addColumn("durable", "integer", (column) => column.notNull())
					// JSON arrays; null = none declared, everybody.
					.addColumn("rooms", "text")
					.addColumn("allow", "text")
					.addColumn("block", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("gateway_queue")
					.addColumn("mesh_id", "text", (column) => column.notNull())
					.addColumn("seq", "integer", (column) => column.notNull())
					.addColumn("from_mesh", "text", (column) => column.notNull())
					.addColumn("message_id", "text", (column) => column.notNull())
					// The whole `gateway_incoming`.
					.addColumn("body", "text", (column) => column.notNull())
					.addColumn("bytes", "integer", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("gateway_queue_key", ["mesh_id", "seq"])
					.execute();
				await db.schema.createIndex("gateway_queue_expiry").on("gateway_queue").column("expires_at").execute();
			},
		},
	},
};

/** For `openSqliteTables`: everything here goes through statements. */
export type GatewayTables = Record<never, never>;
