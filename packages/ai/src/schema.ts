import type { Schema } from "@warren/store";

export interface AiTables {
	/** One row a day (UTC), person, device, provider and model. */
	ai_usage: {
		/** Days since the Unix epoch. */
		day: number;
		user: string;
		device: string;
		provider: string;
		model: string;
		requests: number;
		/** Of them: answered with an error, or by none. */
		failures: number;
		input_tokens: number;
		output_tokens: number;
		cached_tokens: number;
		/** Requests whose tokens the provider did not say. */
		estimated: number;
	};
	ai_budgets: {
		/** `user:ID`, `device:ID`, or `everyone`: each person who has none of their own. */
		subject: string;
		/** Null = no limit. */
		day_tokens: number | null;
		month_tokens: number | null;
		requests_per_minute: number | null;
		updated_at: number;
	};
	ai_settings: { name: string; value: string };
}

export const aiSchema: Schema = {
	domain: "ai",
	migrations: {
		"001-usage": {
			async up(db) {
				await db.schema
					.createTable("ai_usage")
					.addColumn("day", "integer", (column) => column.notNull())
					.addColumn("user", "text", (column) => column.notNull())
					.addColumn("device", "text", (column) => column.notNull())
					.addColumn("provider", "text", (column) => column.notNull())
					.addColumn("model", "text", (column) => column.notNull())
					.addColumn("requests", "bigint", (column) => column.notNull())
					.addColumn("failures", "bigint", (column) => column.notNull())
					.addColumn("input_tokens", "bigint", (column) => column.notNull())
					.addColumn("output_tokens", "bigint", (column) => column.notNull())
					.addColumn("cached_tokens", "bigint", (column) => column.notNull())
					.addColumn("estimated", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("ai_usage_key", ["day", "user", "device", "provider", "model"])
					.execute();
				await db.schema.createIndex("ai_usage_user").on("ai_usage").columns(["user", "day"]).execute();
				await db.schema.createIndex("ai_usage_device").on("ai_usage").columns(["device", "day"]).execute();
				await db.schema
					.createTable("ai_budgets")
					.addColumn("subject", "text", (column) => column.primaryKey())
					.addColumn("day_tokens", "bigint")
					.addColumn("month_tokens", "bigint")
					.addColumn("requests_per_minute", "bigint")
					.addColumn("updated_at", "bigint", (column) => column.notNull())
					.execute();
				await db.schema
					.createTable("ai_settings")
					.addColumn("name", "text", (column) => column.primaryKey())
					.addColumn("value", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};
