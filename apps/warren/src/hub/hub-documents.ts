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
 */
export function openDocuments(
	base: RoleBase,
	tables: SqliteTables<SyncTables>,
	more: {
		/** Which URLs a session may advertise in discovery; any of the right form unless told. */
		readonly claimOf?: (identity: Identity) => UrlClaim;
		/** Something was made or renamed. */
		readonly onListChanged?: () => void;
	} = {},
): SidecarDocuments {
	const { clock, random, logger, lifetime, health, metrics } = base;
	const log = new SqliteUpdateLog(tables.statements, clock);
	const relay = lifetime.own(new SyncRelay({ log, clock, logger, health }));
	const documents = new DocumentsList({
		db: tables.db,
		clock,
		random,
		...(more.onListChanged === undefined ? {} : { onListChanged: more.onListChanged }),
		onAccessChanged: (document, user, access) => void closeAfterAccessChange(relay, document, user, access),
	});
	lifetime.own(new LastChanged(relay, documents, { clock, logger }));
	const history = new DocumentHistory(relay, () => clock.now());
	metrics.gauge("sync_open_rooms", "Documents and discovery rooms that are open now.", () => relay.openRooms);
	metrics.gauge("sync_sockets", "Sockets that are joined to a document, links to a hub included.", () => relay.sockets);
	const access = new DiscoveryAccess({ documents, ...(more.claimOf === undefined ? {} : { claimOf: more.claimOf }) });
	return { relay, documents, history, access };
}
