import { closeCodes } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { encodeEntries } from "./awareness.ts";
import { Coverage } from "./coverage.ts";
import {
	decodeFrame,
	encodeAwareness,
	encodeQueryAwareness,
	encodeStep1,
	encodeStep2,
	encodeUpdate,
} from "./frames.ts";
import { syncLimits } from "./limits.ts";
import type { LoggedUpdate, MemberOptions, RoomEffect } from "./room-effects.ts";
import { RoomMachine } from "./room-machine.ts";
import { emptyUpdate } from "./update-facts.ts";

const writer: MemberOptions = { owner: "user:a", access: "read-write", acknowledges: false, maxClients: 1 };
const emptyVector = new Uint8Array([0]);

function room(limits: Partial<Record<keyof typeof syncLimits, number>> = {}, keepsUpdates = true): RoomMachine {
	const options = { head: 0, coverage: new Coverage(), keepsUpdates, storedBytes: 0 };
	return new RoomMachine({ ...options, limits: limits as Partial<typeof syncLimits> });
}

/** A socket that has had its first sync. */
function live(machine: RoomMachine, socket: number, who: Partial<MemberOptions> = {}): void {
	machine.join(socket, { ...writer, ...who }, 0);
	machine.receive(socket, encodeStep1(emptyVector), 0);
	machine.planned(socket, machine.head, 0);
	machine.drain();
}

const doc = new Y.Doc();
const edits: Uint8Array[] = [];
doc.on("update", (update: Uint8Array) => edits.push(update));
for (const word of ["one", "two", "three", "four"]) doc.getText("t").insert(0, word);
const edit = (index: number) => edits[index] as Uint8Array;

function appended(effects: readonly RoomEffect[]) {
	return effects.flatMap((each) => (each.type === "append" ? [each.pending] : []));
}

function sentTo(effects: readonly RoomEffect[], socket: number) {
	return effects.flatMap((each) =>
		each.type === "send" && each.to.includes(socket) ? [decodeFrame(each.message).type] : [],
	);
}

function closes(effects: readonly RoomEffect[]) {
	return effects.flatMap((each) => (each.type === "close" ? [[each.socket, each.code, each.error]] : []));
}

function logged(machine: RoomMachine, effects: readonly RoomEffect[]): LoggedUpdate[] {
	return appended(effects).map((each, index) => ({
		seq: machine.head + 1 + index,
		update: each.update,
		socket: each.socket,
	}));
}

describe("joining", () => {
	it("asks a writer what it has and tells it who is here (S1)", () => {
		const machine = room();
		live(machine, 1);
		machine.receive(1, encodeAwareness(encodeEntries([{ client: 9, clock: 1, state: "{}" }])), 0);
		machine.drain();
		machine.join(2, writer, 1);
		machine.join(3, { ...writer, access: "read-only" }, 1);
		const effects = machine.drain();
		expect(sentTo(effects, 2)).toEqual(["step1", "awareness"]);
		expect(sentTo(effects, 3)).toEqual(["awareness"]);
	});

	it("plans a first sync, then gives what was committed meanwhile, then live updates (S1)", () => {
		const machine = room();
		live(machine, 1);
		machine.join(2, writer, 0);
		machine.receive(2, encodeStep1(emptyVector), 0);
		expect(machine.drain()).toContainEqual({ type: "plan", socket: 2, clocks: new Map() });
		machine.receive(1, encodeUpdate(edit(0)), 0);
		machine.committed(logged(machine, machine.drain()), 0);
		expect(machine.drain().find((each) => each.type === "deliver")).toMatchObject({ to: [1] });
		machine.planned(2, 0, 0);
		expect(machine.drain()).toEqual([{ type: "catch-up", socket: 2, after: 0 }]);
		machine.caughtUp(2, 1, false, 0);
		machine.receive(1, encodeUpdate(edit(1)), 0);
		machine.committed(logged(machine, machine.drain()), 0);
		expect(machine.drain().find((each) => each.type === "deliver")).toMatchObject({ to: [1, 2] });
	});

	it("ends after 15 s without step 1 (S15)", () => {
		const machine = room();
		machine.join(1, writer, 0);
		machine.drain();
		expect(machine.nextDeadline()).toBe(syncLimits.firstMessageMs);
		machine.handleTimeout(syncLimits.firstMessageMs - 1);
		expect(closes(machine.drain())).toEqual([]);
		machine.handleTimeout(syncLimits.firstMessageMs);
		expect(closes(machine.drain())).toEqual([[1, closeCodes.badRequest, "bad_request"]]);
		expect(machine.nextDeadline()).toBeNull();
	});

	it("is refused above the room's limit (S14)", () => {
		const machine = room({ maxRoomSockets: 2 });
		for (const socket of [1, 2, 3]) machine.join(socket, writer, 0);
		expect(closes(machine.drain())).toEqual([[3, closeCodes.unavailable, "too_many"]]);
		expect(machine.size).toBe(2);
	});
});

describe("updates", () => {
	it("are heard of only when they are on disk (S4)", () => {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.receive(1, encodeUpdate(edit(0)), 0);
		const effects = machine.drain();
		expect(effects.map((each) => each.type)).toEqual(["append"]);
		machine.committed(logged(machine, effects), 0);
		expect(machine.drain()).toMatchObject([{ type: "deliver", to: [1, 2], updates: [{ seq: 1, socket: 1 }] }]);
	});

	it("that the disk refused send everybody away to come back (S4)", () => {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.receive(1, encodeUpdate(edit(0)), 0);
		machine.rejected(appended(machine.drain()), "the disk is full", 0);
		expect(closes(machine.drain())).toEqual([
			[1, closeCodes.unavailable, "store_failed"],
			[2, closeCodes.unavailable, "store_failed"],
		]);
	});

	it("that bring nothing new are not stored: a reconnect's answer with its whole delete set (S5)", () => {
		const machine = room();
		live(machine, 1);
		for (const each of edits) machine.receive(1, encodeUpdate(each), 0);
		expect(appended(machine.drain())).toHaveLength(edits.length);
		machine.receive(1, encodeStep2(Y.encodeStateAsUpdate(doc)), 0);
		machine.receive(1, encodeStep2(emptyUpdate), 0);
		expect(machine.drain()).toEqual([]);
	});

	it("that cannot be decoded close their socket alone (S2)", () => {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.receive(1, encodeUpdate(edit(0).subarray(0, edit(0).length - 1)), 0);
		expect(closes(machine.drain())).toEqual([[1, closeCodes.badRequest, "bad_request"]]);
		expect(machine.size).toBe(1);
	});

	it("of a reader go nowhere, and it is told once a second (S13)", () => {
		const machine = room();
		live(machine, 1, { access: "read-only" });
		for (let i = 0; i < 5; i++) machine.receive(1, encodeUpdate(edit(0)), 1_000);
		const effects = machine.drain();
		expect(effects).toHaveLength(1);
		expect(sentTo(effects, 1)).toEqual(["auth"]);
		machine.receive(1, encodeUpdate(edit(0)), 2_000);
		expect(sentTo(machine.drain(), 1)).toEqual(["auth"]);
		expect(machine.size).toBe(1);
	});

	it("are acknowledged in order, to those who asked for it alone (S7)", () => {
		const machine = room();
		live(machine, 1, { acknowledges: true });
		live(machine, 2);
		machine.receive(1, encodeUpdate(edit(0)), 0);
		machine.receive(1, encodeUpdate(edit(0)), 0);
		machine.receive(2, encodeUpdate(edit(1)), 0);
		const effects = machine.drain();
		expect(sentTo(effects, 1)).toEqual([]);
		machine.committed(logged(machine, effects), 0);
		const after = machine.drain();
		const acks = after.flatMap((each) => (each.type === "send" ? [{ to: each.to, ...decodeFrame(each.message) }] : []));
		expect(acks).toEqual([{ to: [1], type: "durable", count: 2 }]);
	});

	it("come no faster than the limits (S14)", () => {
		const machine = room({ messageBurst: 3, messagesPerSecond: 1 });
		live(machine, 1);
		for (const index of [0, 1]) machine.receive(1, encodeUpdate(edit(index)), 0);
		expect(closes(machine.drain())).toEqual([]);
		machine.receive(1, encodeUpdate(edit(2)), 0);
		expect(closes(machine.drain())).toEqual([[1, closeCodes.unavailable, "too_many"]]);
	});

	it("name no more ranges than the limit, and a room is in no more of them (S3)", () => {
		const deletes = (client: number, ...froms: number[]) =>
			encodeUpdate(new Uint8Array([0, 1, client, froms.length, ...froms.flatMap((from) => [from, 1])]));
		const machine = room({ maxRanges: 4 });
		for (const socket of [1, 2, 3]) live(machine, socket);
		machine.receive(1, deletes(7, 0, 10, 20, 30), 0);
		expect(appended(machine.drain())).toHaveLength(1);
		machine.receive(1, deletes(7, 1, 9, 40, 50, 60), 0);
		expect(closes(machine.drain())).toEqual([[1, closeCodes.badRequest, "bad_request"]]);
		// What adjoins a range that is held makes it longer.
		machine.receive(2, deletes(7, 1, 9, 11), 0);
		expect(appended(machine.drain())).toHaveLength(1);
		machine.receive(2, deletes(7, 40), 0);
		expect(closes(machine.drain())).toEqual([[2, closeCodes.forbidden, "room_full"]]);
		machine.receive(3, deletes(8, 0), 0);
		expect(closes(machine.drain())).toEqual([[3, closeCodes.forbidden, "room_full"]]);
	});

	it("end where the room is full (S14)", () => {
		const most = edit(0).length + edit(1).length;
		const machine = room({ maxRoomBytes: most });
		live(machine, 1);
		for (const index of [0, 1]) machine.receive(1, encodeUpdate(edit(index)), 0);
		expect(closes(machine.drain())).toEqual([]);
		machine.receive(1, encodeUpdate(edit(2)), 0);
		expect(closes(machine.drain())).toEqual([[1, closeCodes.forbidden, "room_full"]]);
	});
});

describe("a slow reader (S9)", () => {
	function blocked(): RoomMachine {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.blocked(2, 0, 0);
		machine.receive(1, encodeUpdate(edit(0)), 0);
		machine.committed(logged(machine, machine.drain()), 0);
		return machine;
	}

	it("gets nothing live, and goes on from the log when it drains", () => {
		const machine = blocked();
		expect(machine.drain()).toMatchObject([{ type: "deliver", to: [1] }]);
		machine.drained(2, 10);
		expect(machine.drain()).toEqual([{ type: "catch-up", socket: 2, after: 0 }]);
		machine.caughtUp(2, 1, true, 10);
		expect(machine.drain()).toEqual([]);
		machine.drained(2, 20);
		machine.receive(1, encodeUpdate(edit(1)), 20);
		machine.committed(logged(machine, machine.drain()), 20);
		expect(machine.drain()).toMatchObject([{ type: "deliver", to: [1, 2] }]);
	});

	it("closes 1013 after 30 s without draining, and nobody else does", () => {
		const machine = blocked();
		machine.drain();
		machine.handleTimeout(syncLimits.stalledMs - 1);
		expect(machine.drain()).toEqual([]);
		machine.handleTimeout(syncLimits.stalledMs);
		expect(closes(machine.drain())).toEqual([[2, closeCodes.tooSlow, "too_slow"]]);
	});

	it("is not closed while it takes something, and asking again is no reading", () => {
		const machine = blocked();
		machine.taken(2, 100, 0);
		machine.drain();
		machine.taken(2, 200, 20_000);
		machine.handleTimeout(20_000 + syncLimits.stalledMs - 1);
		expect(machine.drain()).toEqual([]);
		machine.receive(2, encodeStep1(emptyVector), 50_000);
		machine.waits(2, 50_000);
		machine.receive(2, encodeStep1(emptyVector), 60_000);
		machine.waits(2, 60_000);
		machine.taken(2, 200, 60_000);
		expect(machine.slow()).toEqual([2]);
		machine.drain();
		machine.handleTimeout(50_000 + syncLimits.stalledMs);
		expect(closes(machine.drain())).toEqual([[2, closeCodes.tooSlow, "too_slow"]]);
	});
});

describe("awareness", () => {
	const says = (client: number, clock: number) =>
		encodeAwareness(encodeEntries([{ client, clock, state: `{"c":${clock}}` }]));

	it("reaches everybody, its sender included, and is gathered under load (S11)", () => {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.receive(1, says(11, 1), 100);
		expect(machine.drain().filter((each) => each.type === "send")).toMatchObject([{ to: [1, 2] }]);
		machine.receive(1, says(11, 2), 101);
		machine.receive(2, says(22, 1), 102);
		machine.receive(1, says(11, 3), 103);
		expect(machine.drain()).toEqual([]);
		expect(machine.nextDeadline()).toBe(100 + syncLimits.awarenessWindowMs);
		machine.handleTimeout(100 + syncLimits.awarenessWindowMs);
		expect(machine.drain().filter((each) => each.type === "send")).toHaveLength(1);
		machine.receive(2, encodeQueryAwareness(), 200);
		expect(sentTo(machine.drain(), 2)).toEqual(["awareness"]);
		machine.receive(2, encodeQueryAwareness(), 200 + syncLimits.awarenessWindowMs - 1);
		expect(machine.drain()).toEqual([]);
		machine.receive(2, encodeQueryAwareness(), 200 + syncLimits.awarenessWindowMs);
		expect(sentTo(machine.drain(), 2)).toEqual(["awareness"]);
	});

	it("of one who leaves is removed (S12)", () => {
		const machine = room();
		live(machine, 1);
		live(machine, 2);
		machine.receive(1, says(11, 1), 0);
		machine.drain();
		machine.leave(1, false, 1_000);
		expect(machine.drain()).toEqual([]);
		machine.handleTimeout(1_000 + syncLimits.leaveGraceMs);
		expect(sentTo(machine.drain(), 2)).toEqual(["awareness"]);
		machine.leave(2, true, 2_000);
		expect(machine.idle).toBe(true);
	});

	it("alone is kept in a room of presence: updates are refused", () => {
		const machine = room({}, false);
		live(machine, 1);
		machine.receive(1, encodeStep2(emptyUpdate), 5_000);
		expect(machine.drain()).toEqual([]);
		machine.receive(1, encodeUpdate(edit(0)), 5_000);
		expect(sentTo(machine.drain(), 1)).toEqual(["auth"]);
	});
});

describe("a room that lost its memory (S22)", () => {
	/** The same sockets in a machine that is new. */
	function woken(from: RoomMachine, sockets: readonly number[], who: Partial<MemberOptions> = {}): RoomMachine {
		const { coverage, head } = from;
		const machine = new RoomMachine({ head, coverage, keepsUpdates: true, storedBytes: 0 });
		for (const socket of sockets) {
			const standing = from.standingOf(socket);
			if (standing !== null) machine.join(socket, { ...writer, ...who }, 0, standing);
		}
		return machine;
	}

	it("asks and tells nobody anything, and passes on what comes next", () => {
		const before = room();
		live(before, 1);
		live(before, 2);
		const after = woken(before, [1, 2]);
		expect(after.drain()).toEqual([]);
		after.receive(1, encodeUpdate(edit(0)), 1);
		after.committed(logged(after, after.drain()), 2);
		expect(after.drain()).toContainEqual(expect.objectContaining({ type: "deliver", to: [1, 2] }));
	});

	it("counts acknowledgements on", () => {
		const before = room();
		live(before, 1, { acknowledges: true });
		before.receive(1, encodeUpdate(edit(0)), 0);
		before.committed(logged(before, before.drain()), 0);
		expect(before.standingOf(1)).toMatchObject({ progress: "live", received: 1 });
		const after = woken(before, [1], { acknowledges: true });
		after.receive(1, encodeUpdate(edit(1)), 1);
		after.committed(logged(after, after.drain()), 1);
		const said = after.drain().flatMap((each) => (each.type === "send" ? [decodeFrame(each.message)] : []));
		expect(said).toContainEqual(expect.objectContaining({ type: "durable", count: 2 }));
	});

	it("still knows who is here: a joiner is told, and one who leaves is missed", () => {
		const before = room();
		live(before, 1);
		live(before, 2);
		before.receive(1, encodeAwareness(encodeEntries([{ client: 7, clock: 1, state: "{}" }])), 0);
		before.drain();
		const after = woken(before, [1, 2]);
		expect(after.drain()).toEqual([]);
		after.join(3, writer, 1);
		expect(sentTo(after.drain(), 3)).toContain("awareness");
		after.leave(1, true, 2);
		expect(sentTo(after.drain(), 2)).toEqual(["awareness"]);
	});

	it("gives who had not asked its time again, and who was in the middle all of it", () => {
		const before = room();
		before.join(1, writer, 0);
		live(before, 2);
		before.blocked(2, 0, 0);
		const after = woken(before, [1, 2]);
		expect(after.drain()).toEqual([{ type: "plan", socket: 2, clocks: new Map() }]);
		after.handleTimeout(syncLimits.firstMessageMs);
		expect(closes(after.drain())).toEqual([[1, 4400, "bad_request"]]);
	});
});
