import { systemClock } from "@warren/kernel";
import { openPostgresTables } from "@warren/store";
import { noPostgres, TestPostgres, VirtualClock } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PostgresUpdateLog } from "./postgres-update-log.ts";
import { syncLogSchema } from "./schema.ts";
import { updateLogContract } from "./update-log.contract.ts";

const reason = noPostgres();
const update = (value: number) => ({ update: Uint8Array.of(value % 256, value >> 8), owner: "user:a" });

describe.skipIf(reason !== null)("PostgreSQL (skipped where it is not installed, or refuses to start)", () => {
	let server: TestPostgres;
	beforeAll(() => {
		server = new TestPostgres();
	});
	afterAll(() => server[Symbol.dispose]());
	const openTables = (database: string) =>
		openPostgresTables({ host: server.host, user: server.user, database, maxConnections: 4 }, [syncLogSchema]);

	updateLogContract("PostgreSQL", async () => {
		const database = server.createDatabase();
		let tables = await openTables(database);
		const clock = new VirtualClock();
		return {
			log: new PostgresUpdateLog(tables.db, clock),
			reopen: async () => {
				await tables.close();
				tables = await openTables(database);
				return new PostgresUpdateLog(tables.db, clock);
			},
			close: () => tables.close(),
		};
	});

	it("takes several writers of the same rooms at once: each number is given once, in order, without a gap", async () => {
		const database = server.createDatabase();
		const opened = await Promise.all([1, 2, 3].map(() => openTables(database)));
		const logs = opened.map(({ db }) => new PostgresUpdateLog(db, systemClock));
		const rooms = ["a", "b", "c"];
		const firsts = await Promise.all(
			Array.from({ length: 60 }, (_, index) => {
				const order = index % 2 === 0 ? rooms : rooms.toReversed();
				const log = logs[index % 3] as PostgresUpdateLog;
				return log.append(order.map((room) => ({ room, updates: [update(index), update(index)] })));
			}),
		);
		expect(firsts).toHaveLength(60);
		for (const room of rooms) {
			const stored = await (logs[0] as PostgresUpdateLog).read(room, 0, Number.MAX_SAFE_INTEGER);
			expect(stored.map((each) => each.seq)).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
		}
		for (const each of opened) await each.close();
	});

	it("numbers a room that stands twice in one commit", async () => {
		const tables = await openTables(server.createDatabase());
		const log = new PostgresUpdateLog(tables.db, systemClock);
		const batches = [
			{ room: "a", updates: [update(1)] },
			{ room: "b", updates: [update(2)] },
			{ room: "a", updates: [update(3), update(4)] },
		];
		expect(await log.append(batches)).toEqual([1, 1, 2]);
		expect((await log.read("a", 0, 1_000)).map((each) => each.update[0])).toEqual([1, 3, 4]);
		await tables.close();
	});

	it("kill -9 of the server: every acknowledged update is there afterwards, in its place", async () => {
		const tables = await openTables(server.createDatabase());
		const log = new PostgresUpdateLog(tables.db, systemClock);
		const acknowledged = new Map<number, number>();
		let refused = 0;
		let stop = false;
		const writer = async (from: number) => {
			for (let value = from; !stop; value++) {
				try {
					const [seq] = await log.append([{ room: "a", updates: [update(value)] }]);
					acknowledged.set(seq as number, value);
				} catch (fault) {
					expect((fault as { code?: string }).code).toBe("store_away");
					refused += 1;
					// Gone: the next attempt waits for its return.
					await back;
				}
				if (acknowledged.size === 100 && refused === 0) {
					server.kill();
					server.restart();
					returned();
				}
				if (acknowledged.size >= 200) stop = true;
			}
		};
		let returned: () => void = () => {};
		const back = new Promise<void>((resolve) => {
			returned = resolve;
		});
		await Promise.all([writer(0), writer(10_000), writer(20_000)]);
		expect(refused).toBeGreaterThan(0);
		const stored = new Map((await log.read("a", 0, Number.MAX_SAFE_INTEGER)).map((each) => [each.seq, each.update]));
		const missing = [...acknowledged].filter(([seq, value]) => {
			const bytes = stored.get(seq);
			return bytes === undefined || bytes[0] !== value % 256 || bytes[1] !== (value >> 8) % 256;
		});
		expect(missing).toEqual([]);
		await tables.close();
	});
});
