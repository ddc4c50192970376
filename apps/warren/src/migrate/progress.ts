import type { Schema } from "@warren/store";

export interface ProgressTable {
	/** Beside what was copied, in the same transactions: how far each table has come. */
	migrate_progress: { table_name: string; last_key: string; finished: number };
}

export const progressSchema: Schema = {
	domain: "migrate",
	migrations: {
		"001-progress": {
			async up(db) {
				await db.schema
					.createTable("migrate_progress")
					.addColumn("table_name", "text", (column) => column.primaryKey())
					.addColumn("last_key", "text", (column) => column.notNull())
					.addColumn("finished", "integer", (column) => column.notNull())
					.execute();
			},
		},
	},
};
