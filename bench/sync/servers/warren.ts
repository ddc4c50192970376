import { type Authenticator, silentLogger, systemClock, type UserId } from "@warren/kernel";
import { HostTable, Listener, MemoryTrim } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import {
	DocumentHistory,
	Documents,
	DocumentsList,
	SqliteUpdateLog,
	SyncRelay,
	type SyncTables,
	syncLogSchema,
	syncRoutes,
	syncSchema,
} from "@warren/sync";
import { announce } from "./control.mjs";

/** Ours as the hub composes it, with one user whose every token is good. */
const folder = process.env["BENCH_DATA"] as string;
const everybody: Authenticator = {
	kinds: ["session"],
	authenticate: async () => ({
		ok: true,
		kind: "session",
		identity: {
			kind: "user",
			userId: "bench" as UserId,
			name: "bench",
			admin: false,
			expiresAt: Number.MAX_SAFE_INTEGER,
		},
	}),
};
const log = await openSqliteTables(`${folder}/sync.db`, [syncLogSchema]);
const tables = await openSqliteTables<SyncTables>(`${folder}/hub.db`, [syncSchema]);
const deps = { clock: systemClock, logger: silentLogger };
const relay = new SyncRelay({
	...deps,
	documents: new Documents(systemClock),
	log: new SqliteUpdateLog(log.statements, systemClock),
});
const documents = new DocumentsList({ db: tables.db, clock: systemClock });
const history = new DocumentHistory(relay, () => Date.now());
const audit = { record() {}, list: async () => [] };
MemoryTrim.start(systemClock);
const listener = await Listener.open(deps, {
	role: "hub",
	host: "127.0.0.1",
	port: 0,
	tls: null,
	hosts: new HostTable([]),
	routes: syncRoutes(
		{ relay, documents, history, access: documents, audit },
		{ owner: "hub", credentials: ["session"] },
	),
	authenticator: everybody,
});
announce(listener.port);
