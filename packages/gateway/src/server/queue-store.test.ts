import { silentLogger } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { Delivery } from "../protocol/index.ts";
import { meshOf } from "../protocol/mesh.ts";
import { QueueStore } from "./queue-store.ts";
import { type GatewayTables, gatewaySchema } from "./schema.ts";
import { SqliteMeshRows } from "./sqlite-mesh-rows.ts";

const target = meshOf({ meshId: "b", name: "B", durable: true, rooms: null, allow: null, block: [] });
const delivery = (seq: number, text = "{}", from = "a"): Delivery => ({
	...{ mesh: target, seq, from, id: `m${seq}`, text, bytes: text.length, expiresAt: 1000 + seq },
	...{ state: "storing", sentAt: 0, acknowledged: false, sending: null },
});

async function open(path: string) {
	const tables = await openSqliteTables<GatewayTables>(path, [gatewaySchema]);
	const { statements } = tables;
	const store = new QueueStore(statements, new SqliteMeshRows(statements), silentLogger);
	return { store, statements, [Symbol.asyncDispose]: async () => tables.close() };
}

describe("queues on disk", () => {
	it("come back as they were, in order, with what each sender fills", async () => {
		using folder = tempFolder("queue");
		{
			await using first = await open(folder.file("gateway.db"));
			for (const each of [delivery(2, "{}", "c"), delivery(1), delivery(3)])
				first.store.add({ kind: "enqueue", delivery: each });
			expect(first.store.commit().ok).toBe(true);
		}
		await using again = await open(folder.file("gateway.db"));
		expect(again.store.states()).toEqual([
			{ meshId: "b", lastSeq: 3, count: 3, bytes: 6, bytesBySender: { a: 4, c: 2 } },
		]);
		expect(again.store.load("b", 1, 10).map((row) => row.seq)).toEqual([2, 3]);
	});

	it("a full disk keeps all of a batch or nothing, says so, and takes the next once there is room", async () => {
		using folder = tempFolder("queue");
		await using world = await open(folder.file("gateway.db"));
		const { store, statements } = world;
		store.add({ kind: "enqueue", delivery: delivery(1) });
		store.commit();
		const [pages] = statements.all<{ page_count: number }>("PRAGMA page_count");
		statements.all(`PRAGMA max_page_count = ${(pages?.page_count ?? 0) + 2}`);
		store.add({ kind: "enqueue", delivery: delivery(2) });
		store.add({ kind: "enqueue", delivery: delivery(3, "x".repeat(100_000)) });
		store.add({ kind: "dequeue", meshId: "b", seqs: [1] });
		const refused = store.commit();
		expect([refused.ok, refused.deliveries.length]).toEqual([false, 2]);
		expect(store.load("b", 0, 10).map((row) => row.seq)).toEqual([1]);
		statements.all("PRAGMA max_page_count = 100000");
		store.add({ kind: "enqueue", delivery: delivery(4) });
		expect(store.commit().ok).toBe(true);
		expect(
			store.load("b", 0, 10).map((row) => row.seq),
			"what was to be forgotten is not forgotten",
		).toEqual([4]);
	});

	it("what is too old goes, except from under a mesh that is there", async () => {
		using folder = tempFolder("queue");
		await using world = await open(folder.file("gateway.db"));
		const { store } = world;
		for (const seq of [1, 2, 3]) store.add({ kind: "enqueue", delivery: delivery(seq) });
		store.commit();
		expect(store.expire(1002, () => false, 10).size).toBe(0);
		const gone = store.expire(1002, () => true, 10);
		expect(gone.get("b")?.map((row) => row.seq)).toEqual([1, 2]);
		expect(store.load("b", 0, 10).map((row) => row.seq)).toEqual([3]);
	});

	it("what a mesh that is there has not acknowledged keeps nobody else's from going", async () => {
		using folder = tempFolder("queue");
		await using world = await open(folder.file("gateway.db"));
		const { store } = world;
		for (const seq of [1, 2, 3]) store.add({ kind: "enqueue", delivery: delivery(seq) });
		const away = meshOf({ meshId: "c", name: "C", durable: true, rooms: null, allow: null, block: [] });
		for (const seq of [4, 5, 6]) store.add({ kind: "enqueue", delivery: { ...delivery(seq), mesh: away } });
		store.commit();
		const isAway = (meshId: string) => meshId === "c";
		expect([...store.expire(2000, isAway, 2)].map(([meshId, rows]) => [meshId, rows.length])).toEqual([["c", 2]]);
		expect([...store.expire(2000, isAway, 2)].map(([meshId, rows]) => [meshId, rows.length])).toEqual([["c", 1]]);
		expect(store.load("b", 0, 10)).toHaveLength(3);
	});
});
