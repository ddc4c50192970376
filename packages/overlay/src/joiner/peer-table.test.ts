import type { Clock } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyOf, peerUla } from "../addresses.ts";
import type { Ula } from "../protocol/peer-record.ts";
import { PeerTable, rulesFor } from "./peer-table.ts";

const random = new SeededRandom(7);
const key = () => keyOf(random.bytes(32));
const own = { peerId: "me", key: key(), addresses: new Set([peerUla("default", 1)]) };
const app = "fd5a:1f02:44a5:240b:121a::1";
const peer = (id: string, index: number, extra: object = {}) => ({
	peer_id: id,
	ula: peerUla("default", index),
	wg_public_key: key(),
	...extra,
});
const table = (list: readonly unknown[], clock: Clock = new VirtualClock()) => {
	const made = new PeerTable(clock);
	made.replace(list);
	return made;
};
const addresses = (of: PeerTable) =>
	Object.fromEntries(of.wanted(own).map((each) => [each.info.peer_id, each.addresses]));

describe("what others may claim", () => {
	it("J1 nobody gets our address, our key, an address of another peer, or one outside the overlay", () => {
		const victim = peer("victim", 2);
		const claims = table([
			peer("thief", 1),
			victim,
			peer("double", 2),
			{ ...peer("same-key", 3), wg_public_key: victim.wg_public_key },
			{ ...peer("own-key", 4), wg_public_key: own.key },
			{ ...peer("outside", 5), ula: "2001:db8::1" },
			{ ...peer("apps", 6), hosted_app_ulas: [victim.ula, "::/0", "fd5a:1f02::2", app] },
			{ ...peer("late", 7), hosted_app_ulas: [app] },
		]);
		expect(addresses(claims)).toEqual({
			victim: [victim.ula],
			apps: [peerUla("default", 6), app],
			late: [peerUla("default", 7)],
		});
	});

	it("J1 an app's claim never takes a peer's own address, whatever the order", () => {
		const first = peer("first", 2, { hosted_app_ulas: [peerUla("default", 3)] });
		expect(addresses(table([first, peer("second", 3)]))).toEqual({
			first: [first.ula],
			second: [peerUla("default", 3)],
		});
	});

	it("J1 a stock client goes by its parent; a parent that is not there takes nobody along", () => {
		const child = peer("child", 9, { parent: "gate" });
		expect(addresses(table([peer("gate", 2), child, peer("orphan", 8, { parent: "nowhere" })]))).toEqual({
			gate: [peerUla("default", 2), child.ula],
		});
		expect(addresses(table([{ ...child, parent: "me" }]))).toEqual({ child: [child.ula] });
	});

	it("J4 after a restart of the coordinator, who is not back yet fades; who was removed goes at once", () => {
		const clock = new VirtualClock();
		const [a, b, c] = [peer("a", 2), peer("b", 3), peer("c", 4)];
		const made = table([a, b, c], clock);
		made.replace([a], 60_000);
		expect(Object.keys(addresses(made)).sort()).toEqual(["a", "b", "c"]);
		made.apply("snapshot_begin", {});
		made.apply("peer_added", a);
		made.apply("snapshot_end", {});
		expect(Object.keys(addresses(made)).sort()).toEqual(["a", "b", "c"]);
		made.apply("peer_removed", { peer_id: "b" });
		// The same machine under a new id: the coordinator had no memory.
		made.apply("peer_added", { ...c, peer_id: "c2" });
		expect(Object.keys(addresses(made)).sort()).toEqual(["a", "c2"]);
		made.replace([a], 60_000);
		expect(made.fade()).toBe(false);
		return clock.advance(60_001).then(() => {
			expect(made.fade()).toBe(true);
			expect(Object.keys(addresses(made))).toEqual(["a"]);
		});
	});

	it("no event throws, whatever it holds", () => {
		const made = table([]);
		const events = [
			"snapshot_begin",
			"snapshot_end",
			"peer_added",
			"peer_updated",
			"peer_patched",
			"peer_removed",
			"other",
		];
		fc.assert(
			fc.property(fc.constantFrom(...events), fc.anything(), (event, value) => {
				made.apply(event, value);
				made.wanted(own);
			}),
		);
	});

	it("a policy that denies some ports lets nothing unnamed through", () => {
		const none = { tcp: [], udp: [], icmp: false, other: false };
		const made = table([
			peer("a", 2, { access: { out: "all", in: { ...none, udp: [[53, 53]], icmp: true } } }),
			peer("b", 3),
		]);
		const to = (index: number) => [`${peerUla("default", index)}/128`];
		expect(rulesFor(made.wanted(own))).toEqual([
			{ direction: "in", addresses: to(2), protocol: "udp", ports: [[53, 53]] },
			{ direction: "in", addresses: to(2), protocol: "icmp" },
			{ direction: "out", addresses: to(2) },
			{ direction: "in", addresses: to(3) },
			{ direction: "out", addresses: to(3) },
		]);
		expect(rulesFor(table([peer("b", 3)]).wanted(own))).toBeNull();
		expect(own.addresses.has(peerUla("default", 1) as Ula)).toBe(true);
	});
});
