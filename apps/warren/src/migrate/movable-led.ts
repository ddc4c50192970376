import { gatewaySchema } from "@warren/gateway";
import { newId, newSecret } from "@warren/kernel";
import { coordinatorSchema, sharedCoordinatorSchema } from "@warren/overlay";
import {
	auditSchema,
	Leadership,
	leadershipLimits,
	leadershipSchema,
	openPostgresTables,
	openSqliteTables,
	type Schema,
	type Tables,
} from "@warren/store";
import { type Kysely, sql } from "kysely";
import type { DatabaseConfig } from "../config/cluster-config.ts";
import { type MigrateBase, type MovableRole, migrateError, type OpenedDatabase } from "./migrate-role.ts";
import { progressSchema } from "./progress.ts";
import { type CopiedTable, tablesOf } from "./table-copy.ts";

/** Where nobody answers: an instance that starts meanwhile follows, and carries nothing. */
const nowhere = "127.0.0.1:1";

/** A gateway: meshes that have registered, and the messages that wait for them. */
export function movableGateway(config: DatabaseConfig): MovableRole {
	const name = "gateway";
	return {
		name,
		file: "gateway.db",
		openFolder: (path) => openSqliteTables(path, [gatewaySchema, auditSchema, progressSchema]),
		openDatabase: (base) =>
			openDatabase(base, config, name, [gatewaySchema], (db, folder) => tablesOf(name, db, folder)),
	};
}

/** A coordinator: addresses, the policy and services' UUIDs. Peers and the log of changes are of those that are there, and come again. */
export function movableCoordinator(config: DatabaseConfig): MovableRole {
	const name = "coordinator";
	return {
		name,
		file: "coordinator.db",
		openFolder: (path) => openAddresses(path),
		openDatabase: (base) =>
			openDatabase(base, config, name, [sharedCoordinatorSchema], async (db, folder) => [
				...(await tablesOf(name, db, folder, /^coordinator_/)),
				...sharedShape,
			]),
	};
}

async function openDatabase(
	base: MigrateBase,
	config: DatabaseConfig,
	role: string,
	schemas: readonly Schema[],
	tables: (db: Kysely<any>, folder: Kysely<any>) => Promise<readonly CopiedTable[]>,
): Promise<OpenedDatabase> {
	const { clock, random, logger, lifetime, health } = base;
	const shared = [...schemas, auditSchema, leadershipSchema, progressSchema];
	const { db, close } = await openPostgresTables<any>(config.postgres, shared, { health });
	lifetime.own({ close });
	const leads = Promise.withResolvers<void>();
	let lost = false;
	// Whoever leads writes, and nobody else: while this does, no instance serves.
	const leadership = new Leadership(
		db,
		{ clock, logger },
		{
			...{ role, holder: newId(random), address: nowhere, secret: newSecret(random) },
			lead: async () => leads.resolve(),
			lost: () => {
				lost = true;
			},
			follow: () => {},
		},
	);
	lifetime.own(leadership);
	await leadership.open();
	await leadership.start();
	const late = clock.after(leadershipLimits.leaseMs + 4 * leadershipLimits.beatMs, () =>
		leads.reject(
			migrateError("migrate_running", `An instance of this ${role} is running.`, { fix: "Stop all of them first." }),
		),
	);
	await leads.promise.finally(() => late.cancel());
	return {
		db,
		tables: (folder) => tables(db, folder),
		finish: async () => {
			if (lost)
				throw migrateError("migrate_lost", `The database was away, or an instance of this ${role} took the lead.`, {
					fix: "Start the migration again: it goes on where it was.",
				});
		},
	};
}

/** What both keep in different shapes, by the database's names: the folder shows it by views that can be written. */
const sharedShape: readonly CopiedTable[] = [
	{
		name: "coordinator_shared_addresses",
		columns: ["entry", "wg_public_key"].map((name) => ({ name, type: "text" })),
		key: ["wg_public_key"],
		json: ["entry"],
	},
	{
		name: "coordinator_shared_facts",
		columns: ["name", "value"].map((name) => ({ name, type: "text" })),
		key: ["name"],
		own: sql<boolean>`name = 'policy'`,
	},
	{
		name: "coordinator_service_names",
		columns: ["name", "uuid"].map((name) => ({ name, type: "text" })),
		key: ["name"],
	},
];

async function openAddresses(path: string): Promise<Tables<any>> {
	const tables = await openSqliteTables<any>(path, [coordinatorSchema, auditSchema, progressSchema]);
	const { db } = tables;
	await sql`create temp view coordinator_shared_addresses as select wg_public_key, json_object('key', wg_public_key,
		'peerId', peer_id, 'network', network, 'ula', ula, 'holder', holder, 'tags', json(tags),
		'removed', json(iif(removed, 'true', 'false'))) as entry from coordinator_addresses`.execute(db);
	await sql`create temp trigger address_added instead of insert on coordinator_shared_addresses begin
		insert into coordinator_addresses values (new.wg_public_key, new.entry ->> 'peerId', new.entry ->> 'network',
			new.entry ->> 'ula', new.entry ->> 'holder', new.entry -> 'tags', new.entry ->> 'removed'); end`.execute(db);
	await sql`create temp view coordinator_shared_facts as select 'policy' as name, text as value from coordinator_policy`.execute(
		db,
	);
	await sql`create temp trigger policy_added instead of insert on coordinator_shared_facts begin
		insert into coordinator_policy values (1, new.value); end`.execute(db);
	return tables;
}
