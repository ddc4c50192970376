import type { HealthTable } from "@warren/kernel";
import type { PostgresOptions } from "./postgres-tables.ts";
import type { Schema, Tables } from "./tables.ts";

/**
 * The same tables and migrations on PostgreSQL, where several processes share them. The client is loaded now: few
 * processes have such a database. A statement that meets no answer throws WarrenError `store_away`, and shows in health.
 * @throws WarrenError `store_unreadable` (no connection, no permission), `store_unfit` (too old, read-only, another
 * encoding), `store_newer`, `store_migration`.
 */
export async function openPostgresTables<DB>(
	options: PostgresOptions,
	schemas: readonly Schema[],
	deps: { readonly health?: HealthTable } = {},
): Promise<Tables<DB>> {
	const { openPostgresTables: open } = await import("./postgres-tables.ts");
	return open<DB>(options, schemas, deps);
}
