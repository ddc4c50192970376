import type { Identity } from "@warren/kernel";
import type { SqliteTables, Tables } from "@warren/store";
import {
	AccessFeed,
	closeAfterAccessChange,
	DiscoveryAccess,
	DocumentHistory,
	Documents,
	DocumentsList,
	LastChanged,
	ListNews,
	PostgresUpdateLog,
	RoomExchange,
	SqliteUpdateLog,
	SyncRelay,
	type SyncTables,
	type UrlClaim,
} from "@warren/sync";
import type { RoleBase } from "../role-base.ts";
import type { SidecarDocuments } from "../sidecar/sidecar-listener.ts";
import type { Cluster } from "./cluster.ts";

/**
 * The documents of one hub or sidecar: list, sync, history, discovery, over its own tables.
 */
export function openDocuments(
	base: RoleBase,
	tables: SqliteTables<SyncTables> | (Tables<SyncTables> & { readonly cluster: Cluster }),
	more: {
		/** Which URLs a session may advertise in discovery; any of the right form unless told. */
		readonly claimOf?: (identity: Identity) => UrlClaim;
		/** These people's lists changed; the people's other machines are told unless this is given. */
		readonly onListChanged?: (users: readonly string[]) => void;
	} = {},
): SidecarDocuments {
	const { clock, random, logger, lifetime, health, metrics } = base;
	const cluster = "cluster" in tables ? tables.cluster : null;
	const log =
		"cluster" in tables ? new PostgresUpdateLog(tables.db, clock) : new SqliteUpdateLog(tables.statements, clock);
	const exchange = cluster === null ? {} : { exchange: new RoomExchange({ ...cluster, clock, random, logger }) };
	const relay = lifetime.own(
		new SyncRelay({ log, documents: new Documents(clock), clock, logger, health, ...exchange }),
	);
	let feed: AccessFeed | null = null;
	const news = lifetime.own(new ListNews({ relay, clock, random }));
	const documents: DocumentsList = new DocumentsList({
		db: tables.db,
		clock,
		random,
		onListChanged: more.onListChanged ?? ((users) => news.changed(users)),
		onAccessChanged: (document, user, access) => {
			if (feed === null) closeAfterAccessChange(relay, document, user, access);
			else feed.changed(document, user, access);
		},
	});
	if (cluster !== null)
		feed = lifetime.own(new AccessFeed({ bus: cluster.bus, relay, documents, clock, random, logger }));
	lifetime.own(new LastChanged(relay, documents, { clock, logger }));
	const history = new DocumentHistory(relay, () => clock.now());
	metrics.gauge("sync_open_rooms", "Documents and discovery rooms that are open now.", () => relay.openRooms);
	metrics.gauge("sync_sockets", "Sockets that are joined to a document, links to a hub included.", () => relay.sockets);
	const access = new DiscoveryAccess({ documents, ...(more.claimOf === undefined ? {} : { claimOf: more.claimOf }) });
	return { relay, documents, history, access };
}
