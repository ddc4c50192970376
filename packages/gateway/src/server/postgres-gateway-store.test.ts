import { silentLogger } from "@warren/kernel";
import { Leadership, leadershipSchema, openPostgresTables } from "@warren/store";
import { noPostgres, TestPostgres, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { Delivery } from "../protocol/index.ts";
import { meshOf } from "../protocol/mesh.ts";
import { openPostgresGatewayStore } from "./postgres-gateway-store.ts";
import { gatewaySchema } from "./schema.ts";

const reason = noPostgres();

describe.skipIf(reason !== null)("queues in a database (skipped where PostgreSQL is not installed)", () => {
	it("what a mesh that is there has not acknowledged keeps nobody else's from going", async () => {
		using postgres = new TestPostgres();
		const where = { host: postgres.host, user: postgres.user, database: postgres.createDatabase() };
		const tables = await openPostgresTables<any>(where, [leadershipSchema, gatewaySchema]);
		let epoch = 0;
		const leadership = new Leadership(
			tables.db,
			{ clock: new VirtualClock(), logger: silentLogger },
			{
				...{ role: "gateway", holder: "one", address: "one:1", secret: "secret" },
				lead: async (each) => void (epoch = each),
				lost() {},
				follow() {},
			},
		);
		await leadership.open();
		await leadership.start();
		const { queues } = await openPostgresGatewayStore(tables.db, "gateway", epoch, silentLogger);
		const [here, away] = ["b", "c"].map((meshId) =>
			meshOf({ meshId, name: meshId, durable: true, rooms: null, allow: null, block: [] }),
		) as [Delivery["mesh"], Delivery["mesh"]];
		for (const [at, mesh] of [here, here, here, away, away, away].entries())
			queues.add({
				kind: "enqueue",
				delivery: {
					...{ mesh, seq: at + 1, from: "a", id: `m${at}`, text: "{}", bytes: 2, expiresAt: 1000 + at },
					...{ state: "storing", sentAt: 0, acknowledged: false, sending: null },
				},
			});
		expect((await queues.commit()).ok).toBe(true);
		const expire = async () =>
			[...(await queues.expire(2000, (meshId) => meshId === "c", 2))].map(([meshId, rows]) => [meshId, rows.length]);
		expect([await expire(), await expire(), await expire()]).toEqual([[["c", 2]], [["c", 1]], []]);
		expect(await queues.load("b", 0, 10)).toHaveLength(3);
		await leadership.close();
		await tables.close();
	});
});
