import type { Schema } from "./tables.ts";

export interface InstallationTable {
	/** One row: which installation these tables belong to. */
	cluster_identity: { id: number; install_id: string; secret_hash: string; ca_fingerprint: string | null };
}

export const installationSchema: Schema = {
	domain: "cluster",
	migrations: {
		"001-identity": {
			async up(db) {
				await db.schema
					.createTable("cluster_identity")
					.addColumn("id", "integer", (column) => column.primaryKey())
					.addColumn("install_id", "text", (column) => column.notNull())
					.addColumn("secret_hash", "text", (column) => column.notNull())
					.addColumn("ca_fingerprint", "text")
					.execute();
			},
		},
	},
};
