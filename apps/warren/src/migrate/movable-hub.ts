import { HubSetup, openAccounts } from "@warren/accounts";
import { type Audit, delay } from "@warren/kernel";
import { openSqliteTables, type Tables } from "@warren/store";
import type { Kysely } from "kysely";
import type { ClusterConfig } from "../config/cluster-config.ts";
import { hubSchemas, openClusterTables } from "../hub/cluster.ts";
import type { HubTables } from "../hub/hub-services.ts";
import { type MigrateBase, type MovableRole, migrateError, type OpenedDatabase } from "./migrate-role.ts";
import { progressSchema } from "./progress.ts";
import { tablesOf } from "./table-copy.ts";

/** Longer than the second after which every instance says again that it lives. */
const listenMs = 2_500;
const noAudit: Audit = { record() {}, list: async () => [] };

/** A hub: accounts, documents with their history, keys of AI, audit. */
export function movableHub(config: ClusterConfig): MovableRole {
	return {
		name: "hub",
		file: "hub.db",
		openFolder: (path) => openSqliteTables<HubTables>(path, [...hubSchemas, progressSchema]),
		openDatabase: (base) => openDatabase(base, config),
	};
}

async function openDatabase(base: MigrateBase, config: ClusterConfig): Promise<OpenedDatabase> {
	const postgres = await openClusterTables(base, config, false);
	let running = false;
	postgres.cluster.bus.subscribe("sync.relays", () => {
		running = true;
	});
	await delay(base.clock, listenMs);
	if (running)
		throw migrateError("migrate_running", "An instance of this hub is running.", { fix: "Stop all of them first." });
	return {
		db: postgres.db,
		tables: async (folder) => {
			for (const db of [postgres.db, folder]) await makeAccounts(base, db);
			return tablesOf("hub", postgres.db, folder);
		},
		finish: async () => {
			if (running)
				throw migrateError("migrate_lost", "An instance of this hub was started meanwhile.", {
					fix: "Stop it, empty the target, and try again.",
				});
		},
	};
}

/** Its library makes and changes its own tables. */
async function makeAccounts(base: MigrateBase, db: Tables<HubTables>["db"] | Kysely<any>): Promise<void> {
	const setup = new HubSetup(db, base.clock, base.random);
	const accounts = await openAccounts(
		{ ...base, db, audit: noAudit, setup },
		{
			baseUrls: ["https://localhost"],
			secret: base.data.read("hub.secret")?.trim() ?? "",
			cookieName: "warren-migrate",
		},
	);
	await accounts.close();
}
