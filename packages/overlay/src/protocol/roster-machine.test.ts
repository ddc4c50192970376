import { SeededRandom } from "@warren/testkit";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "./peer-record.ts";
import { type Policy, readPolicy } from "./policy.ts";
import { RosterMachine } from "./roster-machine.ts";
import { EventReader } from "./sse.ts";
import type { SubscriberId } from "./subscriber-queue.ts";

function policyOf(...rules: readonly [src: string, dst: string, extra?: object][]): Policy {
	const reading = readPolicy(
		JSON.stringify({
			acls: rules.map(([src, dst, extra]) => ({ action: "accept", src: [src], dst: [dst], ...extra })),
		}),
	);
	if (!reading.ok) throw new Error(reading.message);
	return reading.policy;
}

function peer(name: string, tags: readonly string[], extra: Partial<PeerRecord> = {}): PeerRecord {
	return {
		peer_id: name as OverlayPeerId,
		ula: `fd5a:1f00::${name}` as Ula,
		display_name: name,
		network: "default",
		tags,
		hosted_app_ulas: [],
		kind: "peer",
		wg_public_key: name as WireGuardKey,
		relay_only: false,
		connectivity: "direct",
		...extra,
	};
}

/** What a joiner that follows the stream knows. */
class Follower {
	readonly id: SubscriberId;
	readonly known = new Map<string, Record<string, unknown>>();
	readonly events: string[] = [];
	readonly #machine: RosterMachine;
	#reader = new EventReader();
	#fresh: Set<string> | null = null;
	lastId: string | null = null;
	ended = false;

	constructor(machine: RosterMachine, id: number) {
		this.#machine = machine;
		this.id = id as SubscriberId;
	}

	open(viewer: string, patches = true): boolean {
		this.#reader = new EventReader();
		return this.#machine.subscribe(this.id, viewer as OverlayPeerId, patches, this.lastId);
	}

	read(): void {
		const taken = this.#machine.take(this.id);
		if (taken === null) return;
		this.ended ||= taken.end;
		for (const { event, data, id } of this.#reader.push(taken.bytes)) {
			this.events.push(event);
			const value = JSON.parse(data) as { peer_id: string };
			if (event === "snapshot_begin") this.#fresh = new Set();
			else if (event === "snapshot_end") {
				for (const each of [...this.known.keys()]) if (this.#fresh?.has(each) === false) this.known.delete(each);
				this.#fresh = null;
			} else if (event === "peer_added" || event === "peer_updated") {
				this.known.set(value.peer_id, value);
				this.#fresh?.add(value.peer_id);
			} else if (event === "peer_removed") this.known.delete(value.peer_id);
			else if (event === "peer_patched") {
				const merged: Record<string, unknown> = { ...this.known.get(value.peer_id), ...value };
				for (const [name, each] of Object.entries(merged)) if (each === null) delete merged[name];
				this.known.set(value.peer_id, merged);
			}
			this.lastId = id ?? this.lastId;
		}
	}
}

function freshRoster(machine: RosterMachine, viewer: string): Map<string, unknown> {
	const list = JSON.parse(machine.rosterOf(viewer as OverlayPeerId)) as { peer_id: string }[];
	return new Map(list.map((each) => [each.peer_id, each]));
}

let epoch = 0;
const newMachine = (policy: Policy, limits = {}) => new RosterMachine(policy, () => `e${++epoch}`, limits);

describe("roster", () => {
	it("R1 nobody sees anybody without a rule", () => {
		const machine = newMachine(policyOf());
		machine.upsert(peer("a", ["x"]), 0);
		machine.upsert(peer("b", ["x"]), 0);
		expect(machine.rosterOf("a" as OverlayPeerId)).toBe("[]");
	});

	it("R1 visibility is symmetric, stays within a network, and ports show as access", () => {
		const machine = newMachine(policyOf(["tag:web", "tag:db", { proto: "tcp", ports: [5432] }]));
		machine.upsert(peer("w", ["web"]), 0);
		machine.upsert(peer("d", ["db"]), 0);
		machine.upsert(peer("o", ["db"], { network: "other" }), 0);
		const nothing = { tcp: [], udp: [], icmp: false, other: false };
		expect([...freshRoster(machine, "w").values()]).toMatchObject([
			{ peer_id: "d", access: { out: { ...nothing, tcp: [[5432, 5432]] }, in: nothing } },
		]);
		expect([...freshRoster(machine, "d").values()]).toMatchObject([
			{ peer_id: "w", access: { in: { tcp: [[5432, 5432]] } } },
		]);
		expect(freshRoster(machine, "o").size).toBe(0);
	});

	it("R2 the stream opens with a burst of peer_added, then tells changes; a light one as a patch to whoever takes patches", () => {
		const machine = newMachine(policyOf(["*", "*"]));
		machine.upsert(peer("a", ["x"]), 0);
		machine.upsert(peer("b", ["x"]), 0);
		const modern = new Follower(machine, 1);
		const plain = new Follower(machine, 2);
		expect(modern.open("a") && plain.open("a", false)).toBe(true);
		machine.upsert(peer("b", ["x"], { endpoint: "192.0.2.1:5" }), 1);
		machine.flush();
		for (const each of [modern, plain]) each.read();
		expect(modern.events).toEqual(["snapshot_begin", "peer_added", "snapshot_end", "peer_patched"]);
		expect(plain.events).toEqual(["peer_added", "peer_updated"]);
		expect(plain.known).toEqual(freshRoster(machine, "a"));
	});

	it("R3 a viewer that is not registered gets no stream, and loses it when it is removed", () => {
		const machine = newMachine(policyOf(["*", "*"]));
		const follower = new Follower(machine, 1);
		expect(follower.open("nobody")).toBe(false);
		machine.upsert(peer("a", ["x"]), 0);
		expect(follower.open("a")).toBe(true);
		machine.remove("a" as OverlayPeerId, 1);
		machine.flush();
		follower.read();
		expect(follower.ended).toBe(true);
		expect(follower.events.at(-1)).toBe("error");
	});

	it("R4 a reader that was away goes on from its last id, and gets everything anew when the log does not reach back", () => {
		const machine = newMachine(policyOf(["*", "*"]), { loggedChanges: 4 });
		for (const name of ["a", "b", "c"]) machine.upsert(peer(name, ["x"]), 0);
		const follower = new Follower(machine, 1);
		follower.open("a");
		follower.read();
		machine.unsubscribe(follower.id);
		machine.remove("b" as OverlayPeerId, 1);
		machine.upsert(peer("d", ["x"]), 1);
		follower.events.length = 0;
		follower.open("a");
		follower.read();
		expect(follower.events.toSorted()).toEqual(["peer_added", "peer_removed", "roster_resumed"]);
		expect(follower.known).toEqual(freshRoster(machine, "a"));
		machine.unsubscribe(follower.id);
		for (let round = 0; round < 20; round++) {
			machine.upsert(peer("c", ["x"], { endpoint: `192.0.2.1:${round + 1}` }), 2);
			machine.flush();
		}
		machine.remove("d" as OverlayPeerId, 2);
		follower.events.length = 0;
		follower.open("a");
		follower.read();
		expect(follower.events[0]).toBe("snapshot_begin");
		expect(follower.known).toEqual(freshRoster(machine, "a"));
	});

	it("R4 an id of another run or of an earlier policy is not continued from", () => {
		const machine = newMachine(policyOf(["*", "*"]));
		machine.upsert(peer("a", ["x"]), 0);
		const follower = new Follower(machine, 1);
		for (const id of ["other-0", "nonsense", `${machine.position}9`, "-1", "e-"]) {
			follower.lastId = id;
			follower.events.length = 0;
			follower.open("a");
			follower.read();
			machine.unsubscribe(follower.id);
			expect(follower.events[0], id).toBe("snapshot_begin");
		}
	});

	it("R5 a reader that does not read costs a bounded queue, then everything anew; one of the original is closed", () => {
		const machine = newMachine(policyOf(["*", "*"]), { maxQueuedBytes: 2_000 });
		machine.upsert(peer("a", ["x"]), 0);
		const [modern, plain] = [new Follower(machine, 1), new Follower(machine, 2)];
		modern.open("a");
		plain.open("a", false);
		modern.read();
		for (let index = 0; index < 50; index++) machine.upsert(peer(`p${index}`, ["x"]), 1);
		machine.flush();
		modern.events.length = 0;
		for (const each of [modern, plain]) each.read();
		expect(modern.events[0]).toBe("snapshot_begin");
		expect(modern.known.size).toBe(50);
		expect(plain.ended).toBe(true);
	});

	it("R6 a policy change takes away and gives at once", () => {
		const machine = newMachine(policyOf(["tag:x", "tag:y"]));
		for (const [name, tag] of [
			["a", "x"],
			["b", "y"],
			["c", "z"],
		] as const)
			machine.upsert(peer(name, [tag]), 0);
		const follower = new Follower(machine, 1);
		follower.open("a");
		follower.read();
		follower.events.length = 0;
		machine.setPolicy(policyOf(["tag:x", "tag:z"]));
		follower.read();
		expect(follower.events.toSorted()).toEqual(["peer_added", "peer_removed"]);
		expect([...follower.known.keys()]).toEqual(["c"]);
	});

	it("R7 property: first roster and deltas are what a fresh roster is, for whoever sees what", () => {
		const tags = ["x", "y", "z", "xy"];
		const step = fc.oneof(
			fc.record({
				kind: fc.constant("upsert" as const),
				peer: fc.nat(7),
				tags: fc.subarray(tags),
				port: fc.nat(3),
				app: fc.nat(2),
			}),
			fc.record({ kind: fc.constant("remove" as const), peer: fc.nat(7) }),
			fc.record({
				kind: fc.constant("policy" as const),
				rules: fc.array(
					fc.tuple(
						fc.constantFrom("*", "tag:x", "tag:y", "tag:x*"),
						fc.constantFrom("*", "tag:z", "tag:x"),
						fc.boolean(),
						fc.boolean(),
					),
					{ maxLength: 4 },
				),
			}),
			fc.record({ kind: fc.constant("read" as const), viewer: fc.nat(7) }),
			fc.record({ kind: fc.constant("reopen" as const), viewer: fc.nat(7) }),
			fc.record({ kind: fc.constant("flush" as const) }),
		);
		fc.assert(
			fc.property(fc.array(step, { maxLength: 60 }), fc.constantFrom(700, 1_000_000), (steps, maxQueuedBytes) => {
				const machine = newMachine(policyOf(["tag:x", "tag:y"]), { maxQueuedBytes, loggedChanges: 6 });
				const followers = Array.from({ length: 8 }, (_, index) => new Follower(machine, index + 1));
				const isOpen = new Set<number>();
				const reopen = (index: number) => {
					const follower = followers[index] as Follower;
					if (isOpen.has(index)) {
						follower.read();
						machine.unsubscribe(follower.id);
					}
					follower.ended = false;
					if (follower.open(`p${index}`)) isOpen.add(index);
					else isOpen.delete(index);
				};
				for (const each of steps) {
					if (each.kind === "upsert")
						machine.upsert(
							peer(`p${each.peer}`, each.tags, {
								endpoint: `192.0.2.1:${each.port + 1}`,
								hosted_app_ulas: each.app === 0 ? [] : [`fd5a:1f02::${each.app}` as Ula],
							}),
							0,
						);
					else if (each.kind === "remove") machine.remove(`p${each.peer}` as OverlayPeerId, 0);
					else if (each.kind === "flush") machine.flush();
					else if (each.kind === "read") followers[each.viewer]?.read();
					else if (each.kind === "reopen") reopen(each.viewer);
					else {
						const reading = readPolicy(
							JSON.stringify({
								acls: each.rules.map(([src, dst, accept, ports]) => ({
									action: accept ? "accept" : "deny",
									src: [src],
									dst: [dst],
									...(ports ? { proto: "tcp", ports: [22] } : {}),
								})),
							}),
						);
						if (!reading.ok) throw new Error(reading.message);
						machine.setPolicy(reading.policy);
					}
				}
				machine.flush();
				for (const [index, follower] of followers.entries()) {
					follower.read();
					if (!isOpen.has(index) || follower.ended) reopen(index);
					follower.read();
					if (isOpen.has(index)) expect(follower.known).toEqual(freshRoster(machine, `p${index}`));
				}
			}),
			{ numRuns: 400 },
		);
	});

	it("R8 a change is made into bytes once, and only those whom it concerns are looked at", () => {
		const random = new SeededRandom(8);
		const machine = newMachine(policyOf(["tag:g*", "tag:g0"]));
		for (let index = 0; index < 1_000; index++) machine.upsert(peer(`p${index}`, [`g${index % 10}`]), 0);
		machine.flush();
		const followers = Array.from({ length: 20 }, (_, index) => new Follower(machine, index + 1));
		for (const [index, each] of followers.entries()) each.open(`p${index}`);
		for (const each of followers) each.read();
		for (const _ of machine.takeReady()) void _;
		machine.upsert(peer("p13", ["g3"], { endpoint: `192.0.2.1:${1 + random.integer(60_000)}` }), 1);
		machine.flush();
		// Only group 0 sees group 3.
		expect([...machine.takeReady()]).toEqual([1, 11]);
	});
});
