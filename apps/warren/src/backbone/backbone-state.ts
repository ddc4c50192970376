import {
	type BackboneTables,
	backboneSchema,
	SharedSecrets,
	SigningKey,
	type SigningKeyStore,
	type StoredSigningKey,
	sharedSigningKeys,
} from "@warren/backbone";
import {
	type Clock,
	defineErrors,
	equalSecrets,
	type HealthTable,
	hashToken,
	type Lifetime,
	newId,
	newSecret,
} from "@warren/kernel";
import {
	type AuditTable,
	auditSchema,
	type Bus,
	type KeyValue,
	MemoryBus,
	MemoryKeyValue,
	openSqliteTables,
	type Schema,
	SharedClock,
	type Tables,
	whileAlone,
} from "@warren/store";
import type { RoleDeps } from "../cli/run-role.ts";
import { openSharedState } from "../cluster/shared-state.ts";
import type { BackboneConfig } from "../config/backbone-config.ts";
import type { DataFolder } from "../config/data-folder.ts";

const clusterError = defineErrors({ cluster_mismatch: { status: 500 } });

/** Leases are renewed each minute; what is older are the traces of those that ended. */
const registryMaxAgeMs = 3_600_000;

type OwnTables = BackboneTables & AuditTable;
interface IdentityTable {
	/** One row: whose tables these are. */
	backbone_cluster: { id: number; secret_hash: string; admin_hash: string; key_hash: string };
}

const identitySchema: Schema = {
	domain: "backbone-cluster",
	migrations: {
		"001-identity": {
			async up(db) {
				await db.schema
					.createTable("backbone_cluster")
					.addColumn("id", "integer", (column) => column.primaryKey())
					.addColumn("secret_hash", "text", (column) => column.notNull())
					.addColumn("admin_hash", "text", (column) => column.notNull())
					.addColumn("key_hash", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};

/** Where a backbone's state is, and its secrets. */
export interface BackboneState {
	readonly tables: Tables<OwnTables>;
	readonly bus: Bus;
	readonly kv: KeyValue;
	/** What a node dates, the others judge: theirs, or this machine's where it is the only one. */
	readonly clock: Clock;
	readonly nodeId: string;
	readonly masterSecret: string;
	readonly signingKeys: SigningKeyStore;
	/** Secrets of all nodes; null = this is the only one. */
	readonly shared: SharedSecrets | null;
	readonly adminHash: string;
	/** Made just now, and shown this once; null when it is known. */
	readonly adminToken: string | null;
}

interface FirstKey {
	readonly pem: string;
	/** Just now. */
	readonly made: boolean;
}

type Opening = Pick<RoleDeps, "clock" | "random" | "logger"> & {
	readonly data: DataFolder;
	readonly health: HealthTable;
	readonly lifetime: Lifetime;
};

/**
 * On this data folder alone, or shared with other nodes. @throws WarrenError `store_unreadable`, `store_newer`,
 *   `cluster_mismatch`.
 */
export async function openBackboneState(base: Opening, config: BackboneConfig): Promise<BackboneState> {
	const { clock, logger, data, lifetime } = base;
	const schemas = [backboneSchema, auditSchema];
	if (config.cluster === null) {
		const tables = lifetime.own(await openSqliteTables<OwnTables>(data.file("backbone.db"), schemas));
		const bus = lifetime.own(new MemoryBus(logger));
		const kv = lifetime.own(new MemoryKeyValue(clock, logger));
		const { jwtKey, ...secrets } = ownSecrets(base, config, null);
		const signingKeys = ownSigningKeys(data, jwtKey as FirstKey, clock.now());
		return { tables, bus, kv, clock, ...secrets, signingKeys, shared: null };
	}
	const { tables, bus, keyValue } = await openSharedState<OwnTables & IdentityTable>(
		base,
		config.cluster,
		"backbone",
		[...schemas, identitySchema],
		registryMaxAgeMs,
	);
	const own = tables as unknown as Tables<OwnTables>;
	const shared = lifetime.own(await SharedClock.open(tables.db, base));
	const agreed = await whileAlone(tables, clock, () => agree({ ...base, clock: shared }, config, tables, own));
	return { tables: own, bus, kv: keyValue, clock: shared, ...agreed };
}

/** The first node makes the installation; the others must have its secrets, or credentials of one would be none at the next. */
async function agree(
	base: Opening,
	config: BackboneConfig,
	{ db }: Tables<IdentityTable>,
	{ db: own }: Tables<OwnTables>,
) {
	const { data, clock, random } = base;
	const row = (await db.selectFrom("backbone_cluster").selectAll().executeTakeFirst()) ?? null;
	const copy =
		"Give each node the same BACKBONE_MASTER_SECRET, or copy backbone/master.secret from the first node's data folder, mode 0600.";
	if (row !== null && config.masterSecret === undefined && data.read("backbone", "master.secret") === null)
		throw clusterError("cluster_mismatch", `The data folder ${data.path} has no backbone/master.secret.`, {
			fix: copy,
		});
	const { jwtKey, ...secrets } = ownSecrets(base, config, row?.admin_hash ?? null);
	const secretHash = hashToken(secrets.masterSecret);
	const keyHash = jwtKey === null ? "" : hashToken(jwtKey.pem);
	if (row === null)
		await db
			.insertInto("backbone_cluster")
			.values({ id: 1, secret_hash: secretHash, key_hash: keyHash, admin_hash: secrets.adminHash })
			.execute();
	else {
		if (!equalSecrets(secretHash, row.secret_hash))
			throw clusterError("cluster_mismatch", "This node's master secret is not the one of the other nodes.", {
				fix: copy,
			});
		if (!equalSecrets(secrets.adminHash, row.admin_hash))
			throw clusterError("cluster_mismatch", "BACKBONE_ADMIN_TOKEN is not the one of the other nodes.", {
				fix: "Give each node the same one, or leave it out: the database has its hash.",
			});
	}
	const shared = new SharedSecrets({ db: own, clock, random }, secrets.masterSecret);
	const signingKeys = await sharedSigningKeys(shared, firstKeys());
	return { ...secrets, signingKeys, shared };

	function firstKeys(): readonly StoredSigningKey[] | null {
		if (jwtKey === null) return null;
		// What a node alone has signed with until now is good for whoever has fetched it.
		const kept = row === null ? data.read("backbone", "jwt.keys") : null;
		if (kept !== null) return JSON.parse(kept) as StoredSigningKey[];
		// A cluster of before the keys were shared has them in `jwt.key` of each node: any node brings it in.
		const isTheirs = row === null || equalSecrets(keyHash, row.key_hash);
		return isTheirs ? [{ pem: jwtKey.pem, from: clock.now() }] : null;
	}
}

/** From the environment, else kept in the data folder, else made. @param adminHash of the other nodes. */
function ownSecrets({ data, random }: Opening, config: BackboneConfig, adminHash: string | null) {
	const kept = (name: string, make: () => string): string => {
		const found = data.read("backbone", name);
		if (found !== null) return found.trim();
		const text = make();
		data.write(`${text}\n`, "backbone", name);
		return text.trim();
	};
	const nodeId = kept("node-id", () => newId(random));
	const masterSecret = config.masterSecret ?? kept("master.secret", () => newSecret(random));
	const made = data.read("backbone", "jwt.key") === null;
	// Where other nodes are there already, theirs stands in the tables.
	const jwtKey = made && adminHash !== null ? null : { pem: kept("jwt.key", () => SigningKey.generate()), made };
	const known =
		config.adminToken === undefined
			? (adminHash ?? data.read("backbone", "admin.hash")?.trim() ?? null)
			: hashToken(config.adminToken);
	const adminToken = known === null ? `wb_${newSecret(random)}` : null;
	return { nodeId, masterSecret, jwtKey, adminToken, adminHash: known ?? hashToken(adminToken as string) };
}

/** Before there were several keys, the one in `jwt.key` signed: it is old, and so it is replaced soon. */
function ownSigningKeys(data: DataFolder, first: FirstKey, now: number): SigningKeyStore {
	const write = (keys: readonly StoredSigningKey[]) => data.write(`${JSON.stringify(keys)}\n`, "backbone", "jwt.keys");
	const save = (keys: readonly StoredSigningKey[]) => {
		write(keys);
		return Promise.resolve(true);
	};
	const text = data.read("backbone", "jwt.keys");
	if (text !== null) return { keys: JSON.parse(text) as StoredSigningKey[], save, reload: null };
	const keys = [{ pem: first.pem, from: first.made ? now : 0 }];
	write(keys);
	return { keys, save, reload: null };
}
