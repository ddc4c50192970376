import type { Schema } from "@warren/store";

export interface TerminalTables {
	terminal_shares: {
		id: string;
		token_hash: string;
		/** `warren.3`. */
		session: string;
		/** Tells a session apart from a later one with the same number. Seconds since the Unix epoch. */
		session_created: number;
		created_at: number;
		expires_at: number;
	};
}

export const terminalSchema: Schema = {
	domain: "terminal",
	migrations: {
		"001-shares": {
			async up(db) {
				await db.schema
					.createTable("terminal_shares")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("token_hash", "text", (column) => column.notNull().unique())
					.addColumn("session", "text", (column) => column.notNull())
					.addColumn("session_created", "bigint", (column) => column.notNull())
					.addColumn("created_at", "bigint", (column) => column.notNull())
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};
