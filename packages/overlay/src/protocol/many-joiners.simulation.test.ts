import { SeededRandom } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "./peer-record.ts";
import { readPolicy } from "./policy.ts";
import { RosterMachine } from "./roster-machine.ts";
import { EventReader } from "./sse.ts";
import type { SubscriberId } from "./subscriber-queue.ts";

const long = process.env["WARREN_LONG_TESTS"] === "1";

/** Joiners in groups that see each other, coming, going and moving; each follows its stream. */
function simulate(count: number, groups: number, changes: number, seed: number): void {
	const random = new SeededRandom(seed);
	const acls = Array.from({ length: groups }, (_, index) => ({
		action: "accept",
		src: [`tag:g${index}`],
		dst: [`tag:g${index}`],
	}));
	const reading = readPolicy(JSON.stringify({ acls }));
	if (!reading.ok) throw new Error(reading.message);
	const machine = new RosterMachine(reading.policy, () => "e");
	const record = (index: number, group: number, port: number): PeerRecord => ({
		peer_id: `p${index}` as OverlayPeerId,
		ula: `fd5a:1f00::${index}` as Ula,
		display_name: `p${index}`,
		network: "default",
		tags: [`g${group}`],
		hosted_app_ulas: [],
		kind: "peer",
		wg_public_key: `k${index}` as WireGuardKey,
		relay_only: false,
		endpoint: `192.0.2.1:${port}`,
		connectivity: "direct",
	});
	const groupOf = Array.from({ length: count }, (_, index) => index % groups);
	for (let index = 0; index < count; index++) machine.upsert(record(index, groupOf[index] as number, 1), 0);
	machine.flush();
	const known = new Map<number, Map<string, string>>();
	const readers = new Map<number, EventReader>();
	const read = (index: number) => {
		const taken = machine.take(index as SubscriberId);
		if (taken === null) return;
		const mine = known.get(index) as Map<string, string>;
		for (const { event, data } of (readers.get(index) as EventReader).push(taken.bytes)) {
			const value = JSON.parse(data) as { peer_id: string; endpoint?: string };
			if (event === "peer_removed") mine.delete(value.peer_id);
			else if (event.startsWith("peer_")) mine.set(value.peer_id, value.endpoint ?? "");
			else if (event === "snapshot_begin") mine.clear();
		}
	};
	for (let index = 0; index < count; index++) {
		known.set(index, new Map());
		readers.set(index, new EventReader());
		machine.subscribe(index as SubscriberId, `p${index}` as OverlayPeerId, true, null);
		read(index);
	}
	for (let change = 0; change < changes; change++) {
		const index = random.integer(count);
		if (random.integer(10) === 0) groupOf[index] = random.integer(groups);
		machine.upsert(record(index, groupOf[index] as number, 2 + change), change);
		if (random.integer(4) === 0) {
			machine.flush();
			for (const id of machine.takeReady()) read(id);
		}
	}
	machine.flush();
	for (let index = 0; index < count; index++) read(index);
	for (let sample = 0; sample < Math.min(count, 500); sample++) {
		const index = random.integer(count);
		const fresh = JSON.parse(machine.rosterOf(`p${index}` as OverlayPeerId)) as { peer_id: string; endpoint: string }[];
		expect(known.get(index), `seed ${seed}, joiner ${index}`).toEqual(
			new Map(fresh.map((each) => [each.peer_id, each.endpoint])),
		);
	}
}

describe("many joiners", () => {
	it("R7 300 that see 30 each are in step after 2,000 changes", () => simulate(300, 10, 2_000, 1));

	it("R7 10,000 that see 100 each are in step after 20,000 changes", { timeout: 180_000 }, (context) => {
		context.skip(!long, "takes long: set WARREN_LONG_TESTS=1");
		simulate(10_000, 100, 20_000, 2);
	});
});
