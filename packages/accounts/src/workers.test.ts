import { join } from "node:path";
import { Workerd } from "@warren/testkit";
import {
	type CompiledQuery,
	DummyDriver,
	Kysely,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";
import { afterAll, beforeAll, describe } from "vitest";
import { authSuite } from "./auth/auth.contract.ts";
import { pluginsSuite } from "./auth/plugins.contract.ts";
import type { HubTables, RemoteHubs } from "./hub.testing.ts";
import { meSuite } from "./me.contract.ts";

// The runtime is a process of its own, and shares the machine.
describe("the hub's accounts in a Durable Object", { timeout: 120_000 }, () => {
	let workerd: Workerd;
	beforeAll(async () => {
		const entry = join(import.meta.dirname, "accounts-worker.testing.ts");
		workerd = await Workerd.start(entry, { objects: { HUB: "AccountsObject" } });
	});
	afterAll(() => workerd[Symbol.asyncDispose]());

	const hubs: RemoteHubs = {
		remote: async ({ trustedProxies }) => {
			const ask = async (path: string, body: unknown) => {
				const answer = await fetch(`${workerd.origin}${path}`, { method: "POST", body: JSON.stringify(body) });
				if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
				return answer;
			};
			await ask("/~fresh", { trusted: trustedProxies === undefined });
			const query = async ({ sql, parameters }: CompiledQuery) =>
				(await (await ask("/~sql", { sql, parameters })).json()) as never[];
			const db = new Kysely<HubTables>({ dialect: remoteDialect(query) });
			return { tables: { db, close() {} }, port: workerd.port, close: async () => {} };
		},
	};
	authSuite(hubs);
	pluginsSuite(hubs);
	meSuite(hubs);
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
