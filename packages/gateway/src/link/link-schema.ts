import type { Schema } from "@warren/store";

/** What a node remembers about other meshes; in the database of whoever federates. */
export const gatewayLinkSchema: Schema = {
	domain: "gateway-link",
	migrations: {
		"001-trust": {
			async up(db) {
				await db.schema
					.createTable("gateway_mesh_keys")
					.addColumn("mesh_id", "text", (column) => column.primaryKey())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("public_key", "text", (column) => column.notNull())
					.addColumn("since", "bigint", (column) => column.notNull())
					// Another one that has turned up since, refused.
					.addColumn("offered_key", "text")
					.addColumn("refused", "integer", (column) => column.notNull())
					.addColumn("refused_at", "bigint")
					.addColumn("refused_why", "text")
					.execute();
				await db.schema
					.createTable("gateway_link_settings")
					.addColumn("name", "text", (column) => column.primaryKey())
					.addColumn("value", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};
