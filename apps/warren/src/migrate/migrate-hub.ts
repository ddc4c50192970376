import { existsSync, renameSync } from "node:fs";
import { HubSetup, openAccounts } from "@warren/accounts";
import { type Audit, defineErrors, delay, HealthTable, Lifetime } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import type { RoleDeps } from "../cli/run-role.ts";
import type { ClusterConfig } from "../config/cluster-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import { hubSchemas, openClusterTables } from "../hub/cluster.ts";
import type { HubTables } from "../hub/hub-services.ts";
import { copyTable, firstWithRows, progressSchema, sumOf, tablesOf } from "./table-copy.ts";

const migrateError = defineErrors({
	migrate_running: { status: 409 },
	migrate_occupied: { status: 409 },
	migrate_nothing: { status: 404 },
	migrate_differs: { status: 500 },
});

export type Direction = "database" | "folder";

export interface Migrated {
	readonly tables: number;
	readonly rows: number;
	/** By table: rows and the sum of their hashes, which both sides have. */
	readonly sums: Readonly<Record<string, { readonly rows: number; readonly sha256: string }>>;
	/** Where the file is now that the hub left; null when it went into it. */
	readonly former: string | null;
}

/** Longer than the second after which every instance says again that it lives. */
const listenMs = 2_500;
const noAudit: Audit = { record() {}, list: async () => [] };

/**
 * Moves a hub's tables from a data folder into PostgreSQL, or back. Can be killed at any moment and started again: what
 * was copied stays, and nothing is given up on the other side before both are equal.
 * @throws WarrenError `data_in_use`, `migrate_running`, `migrate_occupied`, `migrate_nothing`, `migrate_differs`, and
 *   those of the stores.
 */
export async function migrateHub(
	deps: RoleDeps,
	to: Direction,
	dataPath: string,
	config: ClusterConfig,
	say: (line: string) => void,
): Promise<Migrated> {
	const lifetime = new Lifetime();
	try {
		return await move(deps, to, dataPath, config, say, lifetime);
	} finally {
		await lifetime.close();
	}
}

async function move(
	deps: RoleDeps,
	to: Direction,
	dataPath: string,
	config: ClusterConfig,
	say: (line: string) => void,
	lifetime: Lifetime,
): Promise<Migrated> {
	const { clock } = deps;
	const data = lifetime.own(DataFolder.open(dataPath));
	const file = data.file("hub.db");
	const draft = data.file("hub.db.coming");
	if (to === "database" && !existsSync(file))
		throw migrateError("migrate_nothing", `There is no hub.db in ${data.path}.`, {
			fix: "Name its folder with --data.",
		});
	if (to === "folder" && existsSync(file)) {
		throw migrateError("migrate_occupied", `${file} exists already.`, {
			fix: "Move it away, or choose another --data.",
		});
	}
	const base = { ...deps, data, lifetime, health: new HealthTable(clock) };
	const postgres = await openClusterTables(base, config, false, [progressSchema]);
	let running = false;
	postgres.cluster.bus.subscribe("sync.relays", () => {
		running = true;
	});
	await delay(clock, listenMs);
	if (running)
		throw migrateError("migrate_running", "An instance of this hub is running.", { fix: "Stop all of them first." });
	const sqlite = await openSqliteTables<HubTables>(to === "database" ? file : draft, [...hubSchemas, progressSchema]);
	lifetime.own(sqlite);
	const secret = data.read("hub.secret")?.trim() ?? "";
	for (const { db } of [postgres, sqlite]) {
		// Its library makes and changes its own tables.
		const setup = new HubSetup(db, clock, deps.random);
		const accounts = await openAccounts(
			{ ...deps, db, audit: noAudit, setup },
			{ baseUrls: ["https://localhost"], secret, cookieName: "warren-migrate" },
		);
		await accounts.close();
	}
	const [source, target] = to === "database" ? [sqlite.db, postgres.db] : [postgres.db, sqlite.db];
	const tables = await tablesOf(postgres.db, sqlite.db);
	const begun = await (target as any).selectFrom("migrate_progress").select("table_name").executeTakeFirst();
	const occupied = begun === undefined ? await firstWithRows(tables, target) : null;
	if (occupied !== null) {
		throw migrateError("migrate_occupied", `The target holds rows already, in ${occupied}.`, {
			fix: to === "database" ? "Use an empty database." : "Use an empty folder.",
		});
	}
	let rows = 0;
	for (const table of tables)
		rows += await copyTable(table, source, target, (copied) => say(`${table.name}: ${copied} rows`));
	const sums: Record<string, { rows: number; sha256: string }> = {};
	for (const table of tables) {
		const [before, after] = [await sumOf(table, source), await sumOf(table, target)];
		if (`${before}` !== `${after}` || before.rows !== after.rows) {
			throw migrateError(
				"migrate_differs",
				`${table.name} has ${before.rows} rows with the sum ${before}, and ${after.rows} with ${after} where it was copied to.`,
				{ fix: "The source is as it was. Empty the target, and try again." },
			);
		}
		sums[table.name] = { rows: after.rows, sha256: `${after}` };
	}
	await (target as any).deleteFrom("migrate_progress").execute();
	await sqlite.close();
	if (to === "folder") renameSync(draft, file);
	const former = to === "database" ? `${file}.moved` : null;
	// An embedded hub that is started by mistake must not go on from here.
	if (former !== null) renameSync(file, former);
	return { tables: tables.length, rows, sums, former };
}
