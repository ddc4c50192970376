import type { Schema } from "@warren/store";

/** Our own tables. Better Auth's (`auth_…`) are its own business; of them we know those below. */
export interface AccountsTables {
	/** At most one row: the setup secret that may still be used, where the hub runs alone. */
	accounts_setup: { id: number; secret_hash: string; expires_at: number };
	/** Codes that let one more person sign up. */
	accounts_invitations: {
		id: string;
		code_hash: string;
		role: string;
		email: string | null;
		created_by: string;
		created_at: number;
		expires_at: number;
		used_at: number | null;
	};
	accounts_pairings: {
		id: string;
		code_hash: string;
		user_id: string;
		state: string;
		device_name: string;
		device_key: string | null;
		address: string;
		created_at: number;
		expires_at: number;
	};
	/** Codes that let one machine join. */
	accounts_machine_invites: {
		id: string;
		secret_hash: string;
		user_id: string;
		created_at: number;
		expires_at: number;
	};
	accounts_machines: {
		node_id: string;
		name: string;
		/** JSON array. */
		hosts: string;
		/** JSON array: those of its hosts that its certificates may name, and no other machine's. */
		certified: string;
		port: number;
		version: string;
		owner_id: string;
		/** Null for the hub's own node. */
		token_hash: string | null;
		joined_at: number;
		last_seen_at: number;
		/** Kept after the removal, so that it stays removed. */
		removed_at: number | null;
	};
	accounts_join_tokens: {
		id: string;
		token_hash: string;
		name: string;
		network: string;
		/** JSON array. */
		tags: string;
		/** 1 = only for the first WireGuard key that shows it. */
		one_key: number;
		wg_public_key: string | null;
		created_by: string;
		created_at: number;
		expires_at: number;
	};
	accounts_tickets: {
		id: string;
		user_id: string;
		device_id: string;
		node_id: string;
		device_key: string;
		created_at: number;
		expires_at: number;
	};
	accounts_revocations: { seq: number; ticket_id: string; revoked_at: number; expires_at: number };
}

/** What we read of Better Auth's own tables, and sweep up. */
export interface AuthTables {
	/** `expiresAt`: ISO 8601. */
	auth_device_code: { id: string; expiresAt: string };
	auth_user: { id: string; name: string; email: string; role: string | null };
	auth_session: { id: string; userId: string };
}

export const accountsSchema: Schema = {
	domain: "accounts",
	migrations: {
		"001-accounts": {
			async up(db) {
				await db.schema
					.createTable("accounts_invitations")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("code_hash", "text", (column) => column.notNull().unique())
					.addColumn("role", "text", (column) => column.notNull())
					.addColumn("email", "text")
					.addColumn("created_by", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.addColumn("used_at", "bigint")
					.execute();
				await db.schema
					.createTable("accounts_pairings")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("code_hash", "text", (column) => column.notNull().unique())
					.addColumn("user_id", "text", (column) => column.notNull())
					.addColumn("state", "text", (column) => column.notNull())
					.addColumn("device_name", "text", (column) => column.notNull())
					.addColumn("device_key", "text")
					.addColumn("address", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("accounts_machine_invites")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("secret_hash", "text", (column) => column.notNull().unique())
					.addColumn("user_id", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("accounts_machines")
					.addColumn("node_id", "text", (column) => column.primaryKey())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("hosts", "text", (column) => column.notNull())
					.addColumn("port", "integer", (column) => column.notNull())
					.addColumn("version", "text", (column) => column.notNull())
					.addColumn("owner_id", "text", (column) => column.notNull())
					.addColumn("token_hash", "text", (column) => column.unique())
					.addColumn("joined_at", "bigint", (column) => column.notNull())
					.addColumn("last_seen_at", "bigint", (column) => column.notNull())
					.addColumn("removed_at", "bigint")
					.execute();
				await db.schema
					.createTable("accounts_join_tokens")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("token_hash", "text", (column) => column.notNull().unique())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("network", "text", (column) => column.notNull())
					.addColumn("tags", "text", (column) => column.notNull())
					.addColumn("one_key", "integer", (column) => column.notNull())
					.addColumn("wg_public_key", "text")
					.addColumn("created_by", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("accounts_tickets")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("user_id", "text", (column) => column.notNull())
					.addColumn("device_id", "text", (column) => column.notNull())
					.addColumn("node_id", "text", (column) => column.notNull())
					.addColumn("device_key", "text", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("accounts_revocations")
					.addColumn("seq", "bigint", (column) => column.primaryKey())
					.addColumn("ticket_id", "text", (column) => column.notNull().unique())
					.addColumn("revoked_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
		"002-setup-certified": {
			async up(db) {
				await db.schema
					.alterTable("accounts_machines")
					.addColumn("certified", "text", (column) => column.notNull().defaultTo("[]"))
					.execute();
				await db.schema
					.createTable("accounts_setup")
					.addColumn("id", "integer", (column) => column.primaryKey())
					.addColumn("secret_hash", "text", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};
