import {
	type Audit,
	type Authenticator,
	type Clock,
	HealthTable,
	type Identity,
	Lifetime,
	silentLogger,
	systemClock,
	systemRandom,
	type UserId,
} from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { type Bus, type KeyValue, openSqliteTables, type Statements } from "@warren/store";
import { tempFolder } from "@warren/testkit";
import type { Kysely } from "kysely";
import { ListNews } from "./discovery/list-news.ts";
import { DocumentsList } from "./documents/documents-list.ts";
import { DocumentHistory } from "./documents/history.ts";
import { LastChanged } from "./documents/last-changed.ts";
import type { RoomAccess } from "./documents/room-access.ts";
import { type SyncTables, syncSchema } from "./documents/schema.ts";
import { PostgresUpdateLog } from "./log/postgres-update-log.ts";
import { syncLogSchema } from "./log/schema.ts";
import { SqliteUpdateLog } from "./log/sqlite-update-log.ts";
import type { UpdateLog } from "./log/update-log.ts";
import { SyncRelay, type SyncRelayOptions } from "./relay/sync-relay.ts";
import { closeAfterAccessChange } from "./routes/share-routes.ts";
import { syncRoutes } from "./routes/sync-routes.ts";
import { AccessFeed } from "./shared/access-feed.ts";
import { RoomExchange } from "./shared/room-exchange.ts";
import { Documents } from "./worker/documents.ts";

/** `Bearer session-<user>` is that user's session; `session-<user>.<device>` one of a device. */
export const sessions: Authenticator = {
	kinds: ["session"],
	async authenticate(credential) {
		if (credential.scheme !== "bearer") return null;
		const match = /^session-([a-z]+)(?:\.(\w+))?$/.exec(credential.token);
		if (credential.token === "session-hub-away") {
			return { ok: false, reason: "unavailable", message: "The hub cannot be asked.", retryAfterMs: 1_000 };
		}
		if (match === null) return { ok: false, reason: "invalid", message: "No such session." };
		return { ok: true, kind: "session", identity: identityOf(match[1] as string, match[2]) };
	},
};

export function identityOf(user: string, deviceId?: string): Identity {
	const device = deviceId === undefined ? {} : { deviceId };
	const expiresAt = Number.MAX_SAFE_INTEGER;
	return { kind: "user", userId: user as UserId, name: user, admin: false, expiresAt, ...device };
}

export interface TestHub extends AsyncDisposable {
	readonly relay: SyncRelay;
	readonly documents: DocumentsList;
	readonly history: DocumentHistory;
	readonly listener: Listener;
	readonly health: HealthTable;
	/** Of the log's database. */
	readonly statements: Statements;
	readonly url: string;
	readonly wsUrl: string;
	fetch(user: string, path: string, init?: RequestInit): Promise<Response>;
	close(): Promise<void>;
}

export interface TestHubOptions extends SyncRelayOptions {
	/** Data that outlives this hub. */
	readonly folder?: string;
	readonly port?: number;
	/** Of its rooms alone. */
	readonly clock?: Clock;
	readonly log?: (log: UpdateLog) => UpdateLog;
	/** Other hubs share its tables and log. */
	readonly shared?: SharedStores;
	/** Whoever is in a person's discovery room hears of changes to their list. */
	readonly tellsLists?: boolean;
	readonly access?: (documents: DocumentsList, relay: SyncRelay) => RoomAccess;
}

/** What several hubs of one test have in common. */
export interface SharedStores {
	readonly bus: Bus;
	readonly keyValue: KeyValue;
	/** Instead of files in the hub's folder. */
	readonly postgres?: { readonly db: Kysely<any> };
}

const noAudit: Audit = { record() {}, list: async () => [] };

/** A hub on a real listener, with everything but accounts. */
export async function openTestHub(options: TestHubOptions = {}): Promise<TestHub> {
	const lifetime = new Lifetime();
	const health = new HealthTable(systemClock);
	let folder = options.folder;
	if (folder === undefined) {
		const made = tempFolder("hub");
		lifetime.defer(() => made[Symbol.dispose]());
		folder = made.path;
	}
	const logTables = lifetime.own(await openSqliteTables(`${folder}/sync.db`, [syncLogSchema]));
	const tables = lifetime.own(await openSqliteTables<SyncTables>(`${folder}/hub.db`, [syncSchema]));
	const { shared } = options;
	const storedLog =
		shared?.postgres === undefined
			? new SqliteUpdateLog(logTables.statements, systemClock)
			: new PostgresUpdateLog(shared.postgres.db, systemClock);
	const log = options.log === undefined ? storedLog : options.log(storedLog);
	const common = { clock: systemClock, logger: silentLogger, random: systemRandom };
	const exchange = shared === undefined ? {} : { exchange: new RoomExchange({ ...common, ...shared }) };
	const relay = lifetime.own(
		new SyncRelay(
			{
				log,
				documents: new Documents(systemClock),
				...common,
				clock: options.clock ?? systemClock,
				health,
				...exchange,
			},
			options,
		),
	);
	let feed: AccessFeed | undefined;
	const news = options.tellsLists === true ? lifetime.own(new ListNews({ relay, ...common })) : null;
	const documents: DocumentsList = new DocumentsList({
		db: shared?.postgres?.db ?? tables.db,
		clock: systemClock,
		onListChanged: (users) => news?.changed(users),
		onAccessChanged: (document, user, access) => {
			if (feed === undefined) closeAfterAccessChange(relay, document, user, access);
			else feed.changed(document, user, access);
		},
	});
	if (shared !== undefined) feed = lifetime.own(new AccessFeed({ ...common, bus: shared.bus, relay, documents }));
	lifetime.own(new LastChanged(relay, documents, { clock: systemClock, logger: silentLogger }));
	const history = new DocumentHistory(relay, () => Date.now());
	const access = options.access?.(documents, relay) ?? documents;
	const listener = lifetime.own(
		await Listener.open(
			{ clock: systemClock, logger: silentLogger },
			{
				role: "hub",
				host: "127.0.0.1",
				port: options.port ?? 0,
				tls: null,
				hosts: new HostTable([]),
				routes: syncRoutes(
					{ relay, documents, history, access, audit: noAudit },
					{ owner: "hub", credentials: ["session"] },
				),
				authenticator: sessions,
			},
		),
	);
	// Before the listener cuts them all at once.
	lifetime.defer(() => relay.close());
	const url = `http://127.0.0.1:${listener.port}`;
	return {
		relay,
		documents,
		history,
		listener,
		health,
		statements: logTables.statements,
		url,
		wsUrl: url.replace("http", "ws"),
		fetch: (user, path, init = {}) =>
			fetch(url + path, { ...init, headers: { authorization: `Bearer session-${user}`, ...init.headers } }),
		close: () => lifetime.close(),
		[Symbol.asyncDispose]: () => lifetime.close(),
	};
}
