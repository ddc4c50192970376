import type { Identity } from "@warren/kernel";
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
	type UrlClaim,
} from "@warren/sync";
import type { RoleBase } from "../role-base.ts";
import type { SidecarDocuments } from "../sidecar/sidecar-listener.ts";

/**
 * The documents of one hub or sidecar: list, sync, history, discovery, over its own tables.
 * @param claimOf which URLs a session may advertise in discovery; any of the right form unless told.
 */
export function openDocuments(
	base: RoleBase,
	tables: SqliteTables<SyncTables>,
	claimOf?: (identity: Identity) => UrlClaim,
): SidecarDocuments {
	const { clock, random, logger, lifetime, health, metrics } = base;
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
	metrics.gauge("sync_open_rooms", "Documents and discovery rooms that are open now.", () => relay.openRooms);
	metrics.gauge("sync_sockets", "Sockets that are joined to a document, links to a hub included.", () => relay.sockets);
	const access = new DiscoveryAccess({ documents, ...(claimOf === undefined ? {} : { claimOf }) });
	return { relay, documents, history, access };
}
