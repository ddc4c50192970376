import { existsSync } from "node:fs";
import { accountsSchema } from "@warren/accounts";
import { aiSchema } from "@warren/ai";
import { type Clock, defineErrors, equalSecrets, hashToken, newId, newSecret } from "@warren/kernel";
import {
	auditSchema,
	type Bus,
	type InstallationTable,
	installationSchema,
	type KeyValue,
	SharedClock,
	type Tables,
	whileAlone,
} from "@warren/store";
import { syncLogSchema, syncSchema } from "@warren/sync";
import { openSharedState } from "../cluster/shared-state.ts";
import type { ClusterConfig } from "../config/cluster-config.ts";
import type { RoleBase } from "../role-base.ts";
import type { HubTables } from "./hub-services.ts";

const clusterError = defineErrors({ cluster_mismatch: { status: 500 } });

/** What several instances of a hub have in common, beside the tables. */
export interface Cluster {
	readonly bus: Bus;
	readonly keyValue: KeyValue;
	/** What an instance dates, the others judge. */
	readonly clock: Clock;
}

/** A hub's tables in PostgreSQL, and what connects the instances over them. */
export interface ClusterTables extends Tables<HubTables> {
	readonly cluster: Cluster;
}

export const hubSchemas = [accountsSchema, syncSchema, syncLogSchema, aiSchema, auditSchema] as const;

type Opening = Pick<RoleBase, "data" | "lifetime" | "health" | "logger" | "clock" | "random">;

/**
 * Connects to both backends, and makes sure that this data folder is one of this installation's.
 * @param usesOwnCa whether this instance certifies machines with the CA in its data folder.
 * @throws WarrenError `store_unreadable`, `store_newer`, `store_away`, `cluster_mismatch`.
 */
export async function openClusterTables(
	base: Opening,
	config: ClusterConfig,
	usesOwnCa: boolean,
): Promise<ClusterTables> {
	const { clock } = base;
	const shared = await openSharedState<HubTables & InstallationTable>(base, config, "hub", [
		...hubSchemas,
		installationSchema,
	]);
	const { tables, bus, keyValue } = shared;
	await whileAlone(tables, clock, () => checkIdentity(base, tables, usesOwnCa));
	const sharedClock = base.lifetime.own(await SharedClock.open(tables.db, base));
	return { db: tables.db as never, cluster: { bus, keyValue, clock: sharedClock }, close: () => tables.close() };
}

/** The first instance makes the installation; the others must have its secret, or sessions of one would be none at the next. */
async function checkIdentity(
	{ data, random }: Opening,
	{ db }: Tables<InstallationTable>,
	usesOwnCa: boolean,
): Promise<void> {
	const row = await db.selectFrom("cluster_identity").selectAll().executeTakeFirst();
	const secret = data.read("hub.secret")?.trim() ?? null;
	const id = data.read("hub.id")?.trim() ?? null;
	if (row === undefined) {
		const made = { installId: id ?? newId(random), secret: secret ?? newSecret(random) };
		if (id === null) data.write(`${made.installId}\n`, "hub.id");
		if (secret === null) data.write(`${made.secret}\n`, "hub.secret");
		await db
			.insertInto("cluster_identity")
			.values({ id: 1, install_id: made.installId, secret_hash: hashToken(made.secret), ca_fingerprint: null })
			.execute();
		return;
	}
	const copy =
		"Copy hub.secret, hub.id and the folder ca from the first instance's data folder into this one's, mode 0600.";
	if (secret === null || !equalSecrets(hashToken(secret), row.secret_hash)) {
		const what = secret === null ? "has no hub.secret" : "has the hub.secret of another installation";
		throw clusterError("cluster_mismatch", `The data folder ${data.path} ${what}, and the database belongs to one.`, {
			fix: copy,
		});
	}
	if (id === null) data.write(`${row.install_id}\n`, "hub.id");
	else if (id !== row.install_id) {
		throw clusterError("cluster_mismatch", `The data folder ${data.path} has the hub.id of another installation.`, {
			fix: copy,
		});
	}
	if (usesOwnCa && row.ca_fingerprint !== null && !existsSync(data.file("ca", "ca.crt"))) {
		throw clusterError(
			"cluster_mismatch",
			`The data folder ${data.path} has no CA, and the other instances have one.`,
			{
				fix: copy,
			},
		);
	}
}

/** Every instance certifies with the same CA; the first one that has it says which. @throws WarrenError `cluster_mismatch`. */
export async function checkAuthority({ db }: ClusterTables, fingerprint: string | null): Promise<void> {
	if (fingerprint === null) return;
	const identity = db as unknown as Tables<InstallationTable>["db"];
	await identity
		.updateTable("cluster_identity")
		.set({ ca_fingerprint: fingerprint })
		.where("ca_fingerprint", "is", null)
		.execute();
	const row = await identity.selectFrom("cluster_identity").select("ca_fingerprint").executeTakeFirstOrThrow();
	if (row.ca_fingerprint !== fingerprint) {
		throw clusterError(
			"cluster_mismatch",
			`This instance's CA is ${fingerprint}; the others have ${row.ca_fingerprint}.`,
			{
				fix: "Copy the folder ca from the first instance's data folder into this one's.",
			},
		);
	}
}
