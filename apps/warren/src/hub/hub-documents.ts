import type { SqliteTables } from "@warren/store";
import {
	closeAfterAccessChange,
	DiscoveryAccess,
	DocumentHistory,
	DocumentsList,
	LastChanged,
	SqliteUpdateLog,
	SyncRelay,
	type SyncTables,
} from "@warren/sync";
import type { NodeBase } from "../node/role-part.ts";
import type { SidecarDocuments } from "../sidecar/sidecar-listener.ts";

/** The documents of one hub or sidecar: list, sync, history, discovery, over its own tables. */
export function openDocuments(base: NodeBase, tables: SqliteTables<SyncTables>): SidecarDocuments {
	const { clock, random, logger, lifetime, health } = base;
	const log = new SqliteUpdateLog(tables.statements, clock);
	const relay = lifetime.own(new SyncRelay({ log, clock, logger, health }));
	const documents = new DocumentsList({
		db: tables.db,
		clock,
		random,
		onAccessChanged: (document, user, access) => void closeAfterAccessChange(relay, document, user, access),
	});
	lifetime.own(new LastChanged(relay, documents, { clock, logger }));
	const history = new DocumentHistory(relay, () => clock.now());
	return { relay, documents, history, access: new DiscoveryAccess({ documents }) };
}
