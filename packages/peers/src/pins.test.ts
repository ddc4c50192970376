import { fingerprintOf } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { hostilePeer, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Pins } from "./pins.ts";
import { relayNode } from "./relay/relay-node.testing.ts";
import { type PeerTables, peerSchema } from "./schema.ts";

const address = { host: "box", port: 5151 };
const one = fingerprintOf(Buffer.from("one"));
const two = fingerprintOf(Buffer.from("two"));
async function open() {
	const tables = await openSqliteTables<PeerTables>(":memory:", [peerSchema]);
	return {
		tables,
		pins: await Pins.open(tables.db, new VirtualClock()),
		reopen: () => Pins.open(tables.db, new VirtualClock()),
	};
}

describe("a pin", () => {
	it("is the first certificate, kept across a restart, and never replaced by learning", async () => {
		const { tables, pins, reopen } = await open();
		expect(pins.check(address, one)).toEqual({ verdict: "unknown" });
		await pins.learn(address, one);
		await pins.learn(address, two);
		for (const each of [pins, await reopen()]) {
			expect(each.check(address, one)).toEqual({ verdict: "match" });
			expect(each.check(address, two)).toEqual({ verdict: "mismatch", expected: one });
			expect(each.check({ ...address, port: 5152 }, two)).toEqual({ verdict: "unknown" });
		}
		await tables.close();
	});

	it("of two first contacts at once is the first's", async () => {
		const { tables, pins } = await open();
		await Promise.all([pins.learn(address, one), pins.learn(address, two)]);
		expect(pins.check(address, two)).toEqual({ verdict: "mismatch", expected: one });
		await tables.close();
	});

	it("can be set and forgotten by whoever may, for good", async () => {
		const { tables, pins, reopen } = await open();
		await pins.learn(address, one);
		await pins.trust(address, two);
		expect((await reopen()).check(address, two)).toEqual({ verdict: "match" });
		await pins.forget(address);
		expect((await reopen()).check(address, one)).toEqual({ verdict: "unknown" });
		await tables.close();
	});

	it.each(["", "garbage", one.slice(0, -1), `${one}:00`])(
		"that reads %j fits nothing: it fails closed",
		async (stored) => {
			const { tables, reopen } = await open();
			await tables.db.insertInto("peers_pins").values({ address: "box:5151", fingerprint: stored, since: 1 }).execute();
			const pins = await reopen();
			expect(pins.check(address, one)).toEqual({ verdict: "mismatch", expected: stored });
			await pins.learn(address, one);
			expect(pins.check(address, one).verdict).toBe("mismatch");
			await tables.close();
		},
	);

	it("is made once when many requests make the first contact", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		await node.pins.forget(peer);
		const probes = peer.requests.filter(({ line }) => line.includes("identify")).length;
		const answers = await Promise.all(Array.from({ length: 8 }, () => node.fetch(`/r/${id}/api/x`)));
		expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
		expect(peer.requests.filter(({ line }) => line.includes("identify")).length).toBe(probes + 1);
	});
});
