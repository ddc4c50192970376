import {
	type CompiledQuery,
	DummyDriver,
	Kysely,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";
import { afterAll, beforeAll, describe } from "vitest";
import type { HubTables } from "./hub.testing.ts";
import { WorkerHubs, workersSuites } from "./worker-hubs.testing.ts";

// The runtime is a process of its own, and shares the machine.
describe("the hub's accounts in a Durable Object", { timeout: 120_000 }, () => {
	let workers: WorkerHubs;
	beforeAll(async () => {
		workers = await WorkerHubs.start();
	});
	afterAll(() => workers?.[Symbol.asyncDispose]());

	workersSuites({
		remote: async ({ trustedProxies }) => {
			await workers.fresh({ trusted: trustedProxies === undefined, database: null });
			const query = ({ sql, parameters }: CompiledQuery) => workers.query(sql, parameters);
			const db = new Kysely<HubTables>({ dialect: remoteDialect(query) });
			return { tables: { db, close() {} }, port: workers.port, close: async () => {} };
		},
	});
});

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
