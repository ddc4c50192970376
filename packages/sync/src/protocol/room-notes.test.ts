import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AwarenessTable } from "./awareness.ts";
import { syncLimits } from "./limits.ts";
import { decodeNote, encodeNote, type RoomNote } from "./room-notes.ts";
import { runsBySource, UpdateSequence } from "./update-sequence.ts";

const notes: readonly RoomNote[] = [
	{ type: "updates", first: 7, count: 2, updates: [Uint8Array.of(1, 2), Uint8Array.of(3)] },
	{ type: "updates", first: 2 ** 40, count: 9, updates: null },
	{ type: "presence", entries: [{ owner: "user:zoë", entry: { client: 2 ** 32, clock: 3, state: '{"a":1}' } }] },
	{ type: "hello" },
	{ type: "compacted", upto: 500, snapshotBytes: 12_345 },
	{ type: "ended", code: 4404, error: "unknown_document", message: "this document was deleted" },
];

describe("a note between relays (S20)", () => {
	it("survives the wire", () => {
		for (const note of notes) expect(decodeNote(encodeNote("r1", note))).toEqual({ relay: "r1", note });
	});

	it("that is cut, too long or of another version is none, and never throws", () => {
		for (const note of notes) {
			const whole = encodeNote("r1", note);
			// An announcement without its updates is one that says: look at the log.
			for (let length = 0; length < whole.length; length++) {
				const read = decodeNote(whole.subarray(0, length));
				if (read !== null) expect(read.note).toMatchObject({ type: "updates", updates: null });
			}
			if (note.type !== "updates") expect(decodeNote(Uint8Array.of(...whole, 0))).toBeNull();
		}
		fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => void decodeNote(bytes)));
	});
});

describe("the sequence of a shared room (S20)", () => {
	const update = (seq: number, socket: number | null = null) => ({ seq, update: Uint8Array.of(seq), socket });

	it("gives out each number once, in order, however they come", () => {
		fc.assert(
			fc.property(
				fc.shuffledSubarray(
					Array.from({ length: 30 }, (_, index) => index + 1),
					{ minLength: 30 },
				),
				fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 20 }),
				(order, again) => {
					const sequence = new UpdateSequence(0);
					const out = [...order, ...again].flatMap((seq) => sequence.offer([update(seq)])).map((each) => each.seq);
					expect(out).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
					expect(sequence.hasGap).toBe(false);
				},
			),
		);
	});

	it("knows its own again when the log or another tells them first, and never drops them", () => {
		const sequence = new UpdateSequence(0);
		expect(sequence.offer([update(2), update(3, 7)])).toEqual([]);
		expect(sequence.offer([update(3), update(2, 5)])).toEqual([]);
		expect(sequence.hasGap).toBe(true);
		const run = sequence.offer([update(1)]);
		expect(run.map((each) => [each.seq, each.socket])).toEqual([
			[1, null],
			[2, 5],
			[3, 7],
		]);
		expect(runsBySource(run).map((each) => [each.own, each.updates.length])).toEqual([
			[false, 1],
			[true, 2],
		]);
	});

	it("holds 4 MiB of others' updates behind a gap, and no more", () => {
		const sequence = new UpdateSequence(0);
		const large = new Uint8Array(2 * 1024 * 1024);
		const big = (seq: number) => ({ seq, update: large, socket: null });
		sequence.offer([big(2), big(3), big(4)]);
		expect(sequence.offer([big(1)]).map((each) => each.seq)).toEqual([1, 2, 3]);
	});
});

describe("presence of other relays (S21)", () => {
	const entry = (client: number, clock: number, state: string | null = "{}") => ({ client, clock, state });
	const ada = (clock: number, state: string | null = "{}") => ({ owner: "user:ada", entry: entry(11, clock, state) });

	it("ends with the relay, after the grace of a cut socket; its client may come here in between", () => {
		const table = new AwarenessTable();
		table.receiveFrom(-1, [ada(5), { owner: "user:bob", entry: entry(22, 1) }], 0);
		table.socketClosed(-1, false, 100);
		table.receive(1, "user:ada", [entry(11, 5)], 200);
		table.expire(100 + syncLimits.leaveGraceMs);
		expect(table.entries().map((each) => each.client)).toEqual([11]);
		expect([...table.takeVacated()]).toEqual(["user:bob"]);
		expect(table.takeChangesHere()).toEqual([ada(5)]);
	});

	it("is not told on as one's own, and yields only to its owner's newer word", () => {
		const table = new AwarenessTable();
		table.receiveFrom(-1, [ada(5)], 0);
		expect([table.takeChangesHere(), table.entriesHere(), table.sizeHere]).toEqual([[], [], 0]);
		expect(table.receive(1, "user:eve", [entry(11, 6)], 1)).toBe(1);
		expect(table.receive(1, "user:ada", [entry(11, 5)], 1)).toBe(1);
		expect(table.receive(1, "user:ada", [entry(11, 6)], 1)).toBe(0);
		table.receiveFrom(-1, [ada(5), ada(9, null)], 2);
		table.receiveFrom(-2, [{ owner: "user:eve", entry: entry(11, 99) }], 2);
		expect(table.entriesHere()).toEqual([ada(6)]);
		table.receiveFrom(-2, [ada(7)], 3);
		expect(table.entriesHere()).toEqual([]);
	});
});
