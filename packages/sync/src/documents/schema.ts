import type { Schema } from "@warren/store";

export interface SyncTables {
	sync_documents: {
		id: string;
		owner: string;
		title: string;
		/** Milliseconds since the Unix epoch. */
		created_at: number;
		updated_at: number;
		/** Its id is never used again: a device that was away must not bring it back. */
		deleted_at: number | null;
		/** At a sidecar: the title that it and the hub had in common last; null = none yet. Tells whose rename is news. */
		hub_title: string | null;
	};
	sync_shares: {
		document: string;
		user: string;
		/** `read-only` or `read-write`. */
		access: string;
		created_at: number;
	};
}

export const syncSchema: Schema = {
	domain: "sync",
	migrations: {
		"001-documents": {
			async up(db) {
				await db.schema
					.createTable("sync_documents")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("owner", "text", (column) => column.notNull())
					.addColumn("title", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("updated_at", "bigint", (column) => column.notNull())
					.addColumn("deleted_at", "bigint")
					.execute();
				await db.schema.createIndex("sync_documents_owner").on("sync_documents").column("owner").execute();
				await db.schema
					.createTable("sync_shares")
					.addColumn("document", "text", (column) => column.notNull())
					.addColumn("user", "text", (column) => column.notNull())
					.addColumn("access", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("sync_shares_key", ["document", "user"])
					.execute();
				await db.schema.createIndex("sync_shares_user").on("sync_shares").column("user").execute();
			},
		},
		"002-hub-title": {
			async up(db) {
				await db.schema.alterTable("sync_documents").addColumn("hub_title", "text").execute();
			},
		},
	},
};
