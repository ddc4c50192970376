import { openPostgresTables } from "@warren/store";
import { freePort, noPostgres, TestPostgres } from "@warren/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { type HubTables, hubSchemas } from "./hub.testing.ts";
import { WorkerHubs, workersSuites } from "./worker-hubs.testing.ts";

const reason = noPostgres();
describe.skipIf(reason !== null)(
	"the hub's accounts on Workers, in PostgreSQL (skipped where PostgreSQL is not installed, or refuses to start)",
	{ timeout: 120_000 },
	() => {
		let server: TestPostgres;
		let workers: WorkerHubs;
		beforeAll(async () => {
			server = new TestPostgres({ port: await freePort() });
			workers = await WorkerHubs.start();
		});
		afterAll(async () => {
			await workers?.[Symbol.asyncDispose]();
			server?.[Symbol.dispose]();
		});

		workersSuites({
			remote: async ({ trustedProxies }) => {
				const database = { user: server.user, database: server.createDatabase(), maxConnections: 4 };
				const there = { ...database, host: "127.0.0.1", port: server.port };
				await workers.fresh({ trusted: trustedProxies === undefined, database: there });
				const tables = await openPostgresTables<HubTables>(there, hubSchemas);
				return { tables, port: workers.port, close: async () => void (await tables.close()) };
			},
		});
	},
);
