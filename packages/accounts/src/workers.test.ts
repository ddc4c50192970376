import { join } from "node:path";
import { openPostgresTables } from "@warren/store";
import { freePort, noPostgres, TestPostgres, Workerd } from "@warren/testkit";
import {
	type CompiledQuery,
	DummyDriver,
	Kysely,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";
import { afterAll, beforeAll, describe } from "vitest";
import type { FreshHub } from "./accounts-worker.testing.ts";
import { authSuite } from "./auth/auth.contract.ts";
import { pluginsSuite } from "./auth/plugins.contract.ts";
import { type HubTables, hubSchemas, type RemoteHubs } from "./hub.testing.ts";
import { meSuite } from "./me.contract.ts";

/** Those of the contract's suites that ask for no machines: none join a hub on Workers. */
function suites(hubs: RemoteHubs): void {
	authSuite(hubs);
	pluginsSuite(hubs);
	meSuite(hubs);
}

// The runtime is a process of its own, and shares the machine.
const patient = { timeout: 120_000 };
let workerd: Workerd;
beforeAll(async () => {
	const entry = join(import.meta.dirname, "accounts-worker.testing.ts");
	workerd = await Workerd.start(entry, { objects: { HUB: "AccountsObject" } });
}, patient.timeout);
afterAll(() => workerd?.[Symbol.asyncDispose]());

const ask = async (path: string, body: unknown) => {
	const answer = await fetch(`${workerd.origin}${path}`, { method: "POST", body: JSON.stringify(body) });
	if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
	return answer;
};
const fresh = (hub: FreshHub) => ask("/~fresh", hub);

describe("the hub's accounts in a Durable Object", patient, () => {
	suites({
		remote: async ({ trustedProxies }) => {
			await fresh({ trusted: trustedProxies === undefined, database: null });
			const query = async ({ sql, parameters }: CompiledQuery) =>
				(await (await ask("/~sql", { sql, parameters })).json()) as never[];
			const db = new Kysely<HubTables>({ dialect: remoteDialect(query) });
			return { tables: { db, close() {} }, port: workerd.port, close: async () => {} };
		},
	});
});

const reason = noPostgres();
describe.skipIf(reason !== null)(
	"the hub's accounts on Workers, in PostgreSQL (skipped where PostgreSQL is not installed, or refuses to start)",
	patient,
	() => {
		let server: TestPostgres;
		beforeAll(async () => {
			server = new TestPostgres({ port: await freePort() });
		}, patient.timeout);
		afterAll(() => server?.[Symbol.dispose]());

		suites({
			remote: async ({ trustedProxies }) => {
				const database = { user: server.user, database: server.createDatabase(), maxConnections: 4 };
				const there = { ...database, host: "127.0.0.1", port: server.port };
				await fresh({ trusted: trustedProxies === undefined, database: there });
				const tables = await openPostgresTables<HubTables>(there, hubSchemas);
				return { tables, port: workerd.port, close: async () => void (await tables.close()) };
			},
		});
	},
);

function remoteDialect(query: (compiled: CompiledQuery) => Promise<never[]>) {
	const connection = {
		executeQuery: async (compiled: CompiledQuery) => ({ rows: await query(compiled) }),
		// oxlint-disable-next-line require-yield -- nobody streams here
		async *streamQuery(): AsyncIterableIterator<never> {
			throw new Error("not streamed");
		},
	};
	return {
		createAdapter: () => new SqliteAdapter(),
		createDriver: () => Object.assign(new DummyDriver(), { acquireConnection: async () => connection }),
		createIntrospector: (db: Kysely<any>) => new SqliteIntrospector(db),
		createQueryCompiler: () => new SqliteQueryCompiler(),
	};
}
