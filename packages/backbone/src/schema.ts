import type { Schema } from "@warren/store";

/** Tables of the backbone. Times are milliseconds since the Unix epoch; secrets stand as SHA-256. */
export interface BackboneTables {
	backbone_services: {
		name: string;
		/** `http`, `h2`, `tcp`, `udp`. */
		kind: string;
		/** Of its own: TCP, UDP, and HTTP without wildcard DNS; null = by name. */
		port: number | null;
		/** JSON `ServiceSettings`. */
		settings: string;
		created_at: number;
	};
	backbone_domains: { host: string; service: string; created_at: number };
	backbone_tokens: {
		id: string;
		service: string;
		token_hash: string;
		created_by: string;
		created_at: number;
		last_used_at: number | null;
	};
	backbone_principals: {
		id: string;
		name: string;
		email: string;
		note: string;
		key_version: number;
		/** `active`, `pending`, `revoked`. */
		state: string;
		/** Address that registered it. */
		address: string;
		/** JSON `PrincipalLimits`. */
		limits: string;
		created_at: number;
	};
	backbone_grants: { principal_id: string; service: string; created_by: string; created_at: number };
	/** Assertions that count once, of several nodes. */
	backbone_used_assertions: { used: string; expires_at: number };
	/** Of all nodes, sealed by a key of the master secret. */
	backbone_shared_secrets: { name: string; sealed: string; version: number; updated_at: number };
}

export const backboneSchema: Schema = {
	domain: "backbone",
	migrations: {
		"001-backbone": {
			async up(db) {
				await db.schema
					.createTable("backbone_services")
					.addColumn("name", "text", (column) => column.primaryKey())
					.addColumn("kind", "text", (column) => column.notNull())
					.addColumn("port", "integer", (column) => column.unique())
					.addColumn("settings", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("backbone_domains")
					.addColumn("host", "text", (column) => column.primaryKey())
					.addColumn("service", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("backbone_tokens")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("service", "text", (column) => column.notNull())
					.addColumn("token_hash", "text", (column) => column.notNull().unique())
					.addColumn("created_by", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("last_used_at", "bigint")
					.execute();
				await db.schema
					.createTable("backbone_principals")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("email", "text", (column) => column.notNull())
					.addColumn("note", "text", (column) => column.notNull())
					.addColumn("key_version", "integer", (column) => column.notNull())
					.addColumn("state", "text", (column) => column.notNull())
					.addColumn("address", "text", (column) => column.notNull())
					.addColumn("limits", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("backbone_grants")
					.addColumn("principal_id", "text", (column) => column.notNull())
					.addColumn("service", "text", (column) => column.notNull())
					.addColumn("created_by", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("backbone_grants_key", ["principal_id", "service"])
					.execute();
			},
		},
		"002-used-assertions": {
			async up(db) {
				await db.schema
					.createTable("backbone_used_assertions")
					.addColumn("used", "text", (column) => column.primaryKey())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createIndex("backbone_used_assertions_expiry")
					.on("backbone_used_assertions")
					.column("expires_at")
					.execute();
			},
		},
		"003-shared-secrets": {
			async up(db) {
				await db.schema
					.createTable("backbone_shared_secrets")
					.addColumn("name", "text", (column) => column.primaryKey())
					.addColumn("sealed", "text", (column) => column.notNull())
					.addColumn("version", "integer", (column) => column.notNull())
					.addColumn("updated_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};
