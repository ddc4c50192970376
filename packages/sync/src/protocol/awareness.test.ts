import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AwarenessEntry, AwarenessTable, encodeEntries, readAwareness } from "./awareness.ts";
import { decodeFrame, encodeAwareness } from "./frames.ts";
import { syncLimits } from "./limits.ts";
import { decodeNote, encodeNote, maxNoteBytes, presenceNotes } from "./room-notes.ts";

const state = (client: number, clock: number, text: string | null = `{"n":${clock}}`): AwarenessEntry => ({
	client,
	clock,
	state: text,
});
const seen = (table: AwarenessTable) => table.entries().map((entry) => [entry.client, entry.clock]);

describe("an awareness message", () => {
	it("survives the wire", () => {
		const entries = [state(1, 2), state(2 ** 32, 0, null), state(3, 9, '{"name":"Zoë 😀"}')];
		expect(readAwareness(encodeEntries(entries))).toEqual(entries);
	});

	it("is refused when it is cut, over a limit or no JSON, and never throws", () => {
		const whole = encodeEntries([state(1, 2), state(5, 6)]);
		for (let length = 0; length < whole.length; length++)
			expect(readAwareness(whole.subarray(0, length))).toBeTypeOf("string");
		expect(readAwareness(encodeEntries([state(1, 1, "{")]))).toContain("not JSON");
		const long = `"${"x".repeat(syncLimits.maxAwarenessStateBytes - 2)}"`;
		expect(readAwareness(encodeEntries([state(1, 1, long)]))).toHaveLength(1);
		expect(readAwareness(encodeEntries([state(1, 1, `${long} `)]))).toContain("is the most");
		fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => void readAwareness(bytes)));
	});
});

describe("who may say what about whom (S10)", () => {
	it("another's removal, another's newer state and an older clock are passed over", () => {
		const table = new AwarenessTable();
		table.receive(1, "user:a", [state(11, 5)], 0);
		table.receive(2, "user:b", [state(22, 1)], 0);
		expect(table.receive(2, "user:b", [state(11, 5, null), state(11, 6), state(11, 99, null)], 1)).toBe(3);
		table.receive(1, "user:a", [state(11, 4)], 2);
		expect(seen(table)).toEqual([
			[11, 5],
			[22, 1],
		]);
	});

	it("a socket has one client, a link several", () => {
		const table = new AwarenessTable();
		expect(table.receive(1, "user:a", [state(11, 1), state(12, 1)], 0)).toBe(1);
		expect(table.receive(2, "user:b", [state(21, 1), state(22, 1), state(23, 1)], 0, { maxClients: 2 })).toBe(1);
		expect(seen(table).map(([client]) => client)).toEqual([11, 21, 22]);
	});

	it("an echo of what a socket heard does not make it its own, not even of the same user", () => {
		const table = new AwarenessTable();
		table.receive(1, "user:a", [state(11, 1)], 0);
		table.receive(2, "user:a", [state(11, 1)], 1);
		table.socketClosed(2, true, 2);
		expect(seen(table)).toEqual([[11, 1]]);
	});

	it("a reconnect takes its client over with a newer clock, or while the old socket is leaving", () => {
		const table = new AwarenessTable();
		table.receive(1, "user:a", [state(11, 1)], 0);
		table.receive(2, "user:a", [state(11, 2)], 1);
		table.socketClosed(1, true, 2);
		expect(seen(table)).toEqual([[11, 2]]);
		table.socketClosed(2, false, 3);
		table.receive(3, "user:a", [state(11, 2)], 100);
		table.expire(3 + syncLimits.leaveGraceMs);
		expect(seen(table)).toEqual([[11, 2]]);
		expect(table.receive(4, "user:b", [state(11, 9)], 101)).toBe(1);
	});

	it("a departed client's past cannot be replayed, and another cannot take its place", () => {
		const table = new AwarenessTable();
		table.receive(1, "user:a", [state(11, 5)], 0);
		table.socketClosed(1, true, 1);
		expect(table.receive(2, "user:a", [state(11, 4)], 2)).toBe(1);
		expect(table.receive(3, "user:b", [state(11, 6)], 3)).toBe(1);
		expect(table.receive(4, "user:a", [state(11, 5)], 4)).toBe(0);
		expect(seen(table)).toEqual([[11, 5]]);
	});
});

describe("leaving (S12)", () => {
	it("a clean close is at once, a cut 300 ms later, silence 30 s later", () => {
		const table = new AwarenessTable();
		for (const socket of [1, 2, 3]) table.receive(socket, "user:a", [state(socket, 1)], 0);
		table.takeChanges();
		table.socketClosed(1, true, 10);
		expect(table.takeChanges().map((payload) => readAwareness(payload))[0]).toEqual([state(1, 1, null)]);
		table.socketClosed(2, false, 10);
		expect(table.expire(10 + syncLimits.leaveGraceMs - 1)).toBe(10 + syncLimits.leaveGraceMs);
		expect(table.size).toBe(2);
		expect(table.expire(10 + syncLimits.leaveGraceMs)).toBe(syncLimits.awarenessTimeoutMs);
		expect(seen(table)).toEqual([[3, 1]]);
		expect(table.expire(syncLimits.awarenessTimeoutMs)).toBeNull();
		expect(table.size).toBe(0);
	});

	it("what all who are present say is bounded together, and told in messages that may be read (S11)", () => {
		const table = new AwarenessTable();
		const large = { client: 0, clock: 1, state: JSON.stringify("x".repeat(syncLimits.maxAwarenessStateBytes - 2)) };
		const most = syncLimits.maxPresentStateBytes / syncLimits.maxAwarenessStateBytes;
		for (let socket = 1; socket <= most; socket++)
			expect(table.receive(socket, "user:a", [{ ...large, client: socket }], 0)).toBe(0);
		expect(table.receive(most + 1, "user:b", [state(most + 1, 1)], 0)).toBe(1);
		expect(table.receive(1, "user:a", [state(1, 2)], 0)).toBe(0);
		expect(table.receive(most + 1, "user:b", [state(most + 1, 1)], 0)).toBe(0);
		for (const payloads of [table.takeChanges(), table.encodeAll()]) {
			for (const payload of payloads) expect(decodeFrame(encodeAwareness(payload)).type).toBe("awareness");
			const told = payloads.flatMap((payload) => readAwareness(payload) as AwarenessEntry[]);
			expect(new Set(told.map(({ client }) => client)).size).toBe(most + 1);
		}
		const notes = presenceNotes(table.entriesHere()).map((note) => encodeNote("relay", note));
		for (const note of notes) expect(note.length).toBeLessThan(maxNoteBytes + 1_000);
		const heard = notes.map((note) => decodeNote(note)?.note);
		expect(heard.flatMap((note) => (note?.type === "presence" ? note.entries : []))).toHaveLength(most + 1);
		for (let socket = 1; socket <= most + 1; socket++) table.socketClosed(socket, true, 0);
		expect(table.receive(1, "user:a", [{ ...large, client: 5_000 }], 0)).toBe(0);
	});

	it("what is remembered of the departed is bounded", () => {
		const limits = { ...syncLimits, maxDeparted: 3, maxAwarenessClients: 2 } as unknown as typeof syncLimits;
		const table = new AwarenessTable(limits);
		for (let socket = 1; socket <= 10; socket++) {
			table.receive(socket, "user:a", [state(socket, 1)], socket);
			table.socketClosed(socket, true, socket);
		}
		expect(table.receive(20, "user:b", [state(1, 0)], 20)).toBe(0);
		expect(table.receive(21, "user:b", [state(10, 0)], 20)).toBe(1);
		table.receive(22, "user:b", [state(22, 1)], 21);
		expect(table.receive(23, "user:b", [state(23, 1)], 21)).toBe(1);
	});
});
