import type { Schema } from "@warren/store";
import { CompiledQuery } from "kysely";

/** What a node remembers about other meshes; in the database of whoever federates. */
export const gatewayLinkSchema: Schema = {
	domain: "gateway-link",
	migrations: {
		"001-trust": {
			async up(db) {
				for (const statement of [
					// offered_key: another one that has turned up since, refused.
					`CREATE TABLE gateway_mesh_keys (
						mesh_id TEXT PRIMARY KEY, name TEXT NOT NULL, public_key TEXT NOT NULL, since INTEGER NOT NULL,
						offered_key TEXT, refused INTEGER NOT NULL, refused_at INTEGER, refused_why TEXT
					)`,
					"CREATE TABLE gateway_link_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
				])
					await db.executeQuery(CompiledQuery.raw(statement));
			},
		},
	},
};
