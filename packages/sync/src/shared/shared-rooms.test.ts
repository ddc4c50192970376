import { silentLogger, systemClock } from "@warren/kernel";
import { loadNats, MemoryBus, MemoryKeyValue, openPostgresTables } from "@warren/store";
import { noNats, noPostgres, TestNats, TestPostgres, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe } from "vitest";
import { type SyncTables, syncSchema } from "../documents/schema.ts";
import { syncLogSchema } from "../log/schema.ts";
import { sharedRoomsContract } from "./shared-rooms.contract.ts";

sharedRoomsContract("one process, SQLite", async () => {
	const folder = tempFolder("shared");
	const bus = new MemoryBus(silentLogger);
	const keyValue = new MemoryKeyValue(systemClock, silentLogger);
	return {
		folder: folder.path,
		connect: async () => ({ bus, keyValue }),
		close: () => {
			keyValue.close();
			folder[Symbol.dispose]();
		},
	};
});

const reason = noPostgres() ?? noNats();

describe.skipIf(reason !== null)("PostgreSQL and NATS (skipped where one of them is not installed)", () => {
	let postgres: TestPostgres;
	let nats: TestNats;
	let made = 0;
	beforeAll(async () => {
		postgres = new TestPostgres();
		nats = await TestNats.start();
	});
	afterAll(async () => {
		postgres?.[Symbol.dispose]();
		await nats?.[Symbol.asyncDispose]();
	});

	sharedRoomsContract("PostgreSQL and NATS", async () => {
		const where = { host: postgres.host, user: postgres.user, database: postgres.createDatabase(), maxConnections: 4 };
		const prefix = `shared${++made}`;
		const opened: { close(): Promise<void> | void }[] = [];
		return {
			connect: async () => {
				const tables = await openPostgresTables<SyncTables>(where, [syncSchema, syncLogSchema]);
				const deps = { clock: systemClock, logger: silentLogger };
				const { Nats, NatsBus, NatsKeyValue } = await loadNats();
				const connection = await Nats.open({ servers: [`127.0.0.1:${nats.port}`], name: "hub", prefix }, deps);
				const keyValue = await NatsKeyValue.open(connection, "leases", deps);
				opened.push(tables, connection, keyValue);
				return { bus: new NatsBus(connection, silentLogger), keyValue, postgres: { db: tables.db } };
			},
			close: async () => {
				for (const each of opened.reverse()) await each.close();
			},
		};
	});
});
