import { describe, expect, it } from "vitest";
import type { Change } from "./change-log.ts";
import type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "./peer-record.ts";
import { type Policy, readPolicy } from "./policy.ts";
import { type RosterJournal, RosterMachine, type RosterStart } from "./roster-machine.ts";
import { EventReader } from "./sse.ts";
import type { SubscriberId } from "./subscriber-queue.ts";

const policyOf = (src: string): Policy => {
	const reading = readPolicy(JSON.stringify({ acls: [{ action: "accept", src: [src], dst: [src] }] }));
	if (!reading.ok) throw new Error(reading.message);
	return reading.policy;
};
const peer = (name: string, extra: Partial<PeerRecord> = {}): PeerRecord => ({
	...{ peer_id: name as OverlayPeerId, ula: `fd5a:1f00::${name}` as Ula, display_name: name, network: "default" },
	...{ tags: ["a"], hosted_app_ulas: [], kind: "peer", wg_public_key: name as WireGuardKey, relay_only: false },
	...{ connectivity: "direct", ...extra },
});

/** What of a leader's words has reached the database: all of it, until it is cut off. */
class Kept implements RosterJournal {
	start: RosterStart = { epoch: null, sequence: 0, log: [], records: [] };
	isCut = false;
	readonly #records = new Map<string, PeerRecord>();

	begun(epoch: string, sequence: number): void {
		if (!this.isCut) this.start = { ...this.start, epoch, sequence };
	}
	restarted(epoch: string, sequence: number): void {
		if (!this.isCut) this.start = { ...this.start, epoch, sequence, log: [] };
	}
	changed(sequence: number, change: Change, record: PeerRecord | null): void {
		if (this.isCut) return;
		if (record === null) this.#records.delete(change.peerId);
		else this.#records.set(change.peerId, record);
		this.start = { ...this.start, sequence, log: [...this.start.log, change], records: [...this.#records.values()] };
	}
}

let epochs = 0;
function leader(kept: Kept, src = "*"): RosterMachine {
	const machine = new RosterMachine(policyOf(src), () => `e${++epochs}`);
	kept.isCut = false;
	machine.restore(kept.start, kept);
	return machine;
}
const put = (machine: RosterMachine, record: PeerRecord) => {
	machine.upsert(record, 0);
	machine.flush();
};
/** The events that a reader gets who saw this one last. */
function read(machine: RosterMachine, viewer: string, after: string | null): string[] {
	const id = 1 as SubscriberId;
	machine.subscribe(id, viewer as OverlayPeerId, true, after);
	const taken = machine.take(id);
	machine.unsubscribe(id);
	return new EventReader().push(taken?.bytes ?? new Uint8Array()).map(({ event, data }) => {
		const { peer_id } = JSON.parse(data) as { peer_id?: string };
		return peer_id === undefined ? event : `${event} ${peer_id}`;
	});
}

describe("the next leader's roster", () => {
	it("R4 a reader goes on from what the one before told it, over what both changed", () => {
		const kept = new Kept();
		const first = leader(kept);
		for (const name of ["v", "x", "y"]) put(first, peer(name));
		const { position } = first;
		put(first, peer("x", { endpoint: "1.2.3.4:5" }));
		first.remove("y" as OverlayPeerId, 0);
		first.flush();
		const second = leader(kept);
		expect(JSON.parse(second.rosterOf("v" as OverlayPeerId))).toEqual(JSON.parse(first.rosterOf("v" as OverlayPeerId)));
		put(second, peer("z"));
		expect(read(second, "v", position)).toEqual(["peer_updated x", "peer_removed y", "peer_added z", "roster_resumed"]);
		expect(read(second, "v", second.position)).toEqual(["roster_resumed"]);
	});

	it("R4 a number that was told and not kept is begun anew, never taken for another change", () => {
		const kept = new Kept();
		const first = leader(kept);
		for (const name of ["v", "x"]) put(first, peer(name));
		kept.isCut = true;
		put(first, peer("lost"));
		const told = first.position;
		const second = leader(kept);
		put(second, peer("other"));
		expect(second.position.split("-")[1], "the same number").toBe(told.split("-")[1]);
		expect(read(second, "v", told)).toEqual(["snapshot_begin", "peer_added x", "peer_added other", "snapshot_end"]);
	});

	it("R4 nobody goes on over a policy, nor over two leaders' ends without a word from the one between", () => {
		const kept = new Kept();
		const first = leader(kept);
		for (const name of ["v", "x"]) put(first, peer(name));
		const before = first.position;
		first.setPolicy(policyOf("tag:none"));
		expect(read(leader(kept, "tag:none"), "v", before)).toEqual(["snapshot_begin", "snapshot_end"]);
		const third = leader(kept);
		expect(read(third, "v", before)[0]).toBe("snapshot_begin");
	});
});
