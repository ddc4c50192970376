import type { CredentialKind } from "@warren/kernel";
import type { Route } from "@warren/net";
import type { SqliteTables } from "@warren/store";
import {
	closeAfterAccessChange,
	DiscoveryAccess,
	DocumentHistory,
	DocumentsList,
	SqliteUpdateLog,
	SyncRelay,
	type SyncTables,
	syncRoutes,
} from "@warren/sync";
import type { NodeBase } from "../node/role-part.ts";

/** Who may enter the rooms of a hub. */
const credentials: readonly CredentialKind[] = ["session"];

/** The documents of a hub: list, sync, history, discovery, over the hub's own tables. */
export function openHubDocuments(base: NodeBase, tables: SqliteTables<SyncTables>): Route[] {
	const { clock, random, logger, audit, lifetime } = base;
	const relay = lifetime.own(new SyncRelay({ log: new SqliteUpdateLog(tables.statements, clock), clock, logger }));
	const documents = new DocumentsList({
		db: tables.db,
		clock,
		random,
		onAccessChanged: (document, user, access) => void closeAfterAccessChange(relay, document, user, access),
	});
	const history = new DocumentHistory(relay, () => clock.now());
	return syncRoutes(
		{ relay, documents, history, access: new DiscoveryAccess({ documents }), audit },
		{ owner: "hub", credentials },
	);
}
