import type { Schema } from "@warren/store";

export interface AccessTables {
	/** One row: the node's user and PIN. */
	access_owner: { id: number; user_name: string; pin_hash: string; changed_at: number };
	access_devices: {
		id: string;
		name: string;
		token_hash: string;
		created_at: number;
		last_seen_at: number;
	};
	/** A row a door: the setup link that may still be used there. */
	access_setup: { id: number; secret_hash: string; expires_at: number };
}

export const accessSchema: Schema = {
	domain: "access",
	migrations: {
		"001-access": {
			async up(db) {
				await db.schema
					.createTable("access_owner")
					.addColumn("id", "integer", (column) => column.primaryKey())
					.addColumn("user_name", "text", (column) => column.notNull())
					.addColumn("pin_hash", "text", (column) => column.notNull())
					.addColumn("changed_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("access_devices")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("token_hash", "text", (column) => column.notNull().unique())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("last_seen_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("access_setup")
					.addColumn("id", "integer", (column) => column.primaryKey())
					.addColumn("secret_hash", "text", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};
