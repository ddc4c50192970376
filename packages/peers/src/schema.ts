import type { Schema } from "@warren/store";

export interface PeerTables {
	peers_manual: { host: string; port: number; name: string; added_at: number };
	/** One leaf per host:port. */
	peers_pins: { address: string; fingerprint: string; since: number };
	peers_seen: { address: string; version: string; seen_at: number };
}

export const peerSchema: Schema = {
	domain: "peers",
	migrations: {
		"001-peers": {
			async up(db) {
				await db.schema
					.createTable("peers_manual")
					.addColumn("host", "text", (column) => column.notNull())
					.addColumn("port", "integer", (column) => column.notNull())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("added_at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("peers_manual_key", ["host", "port"])
					.execute();
				await db.schema
					.createTable("peers_pins")
					.addColumn("address", "text", (column) => column.primaryKey())
					.addColumn("fingerprint", "text", (column) => column.notNull())
					.addColumn("since", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("peers_seen")
					.addColumn("address", "text", (column) => column.primaryKey())
					.addColumn("version", "text", (column) => column.notNull())
					.addColumn("seen_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};
