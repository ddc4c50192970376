import type { WebSocketConnection } from "@warren/net";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { expect, test } from "vitest";
import { helloTimeoutMs } from "../protocol/index.ts";
import { closeReason } from "./close-reason.ts";
import { Viewers } from "./viewers.ts";

/** As much of a connection as a viewer's door uses. */
function fakeConnection() {
	const closes: { code: number; reason: string }[] = [];
	let left = () => {};
	const connection = {
		onMessage() {},
		onClose: (handler: () => void) => {
			left = handler;
		},
		close: (code: number, reason: string) => void closes.push({ code, reason }),
	};
	return { connection: connection as unknown as WebSocketConnection, closes, leave: () => left() };
}

const request = { target: null, sessionId: "warren.1", owner: "device:a", readOnly: false };

test("T1 a socket that says nothing for 10 s is closed 4400, not before", async () => {
	const clock = new VirtualClock();
	const viewers = new Viewers({ clock, random: new SeededRandom(1), exitReason: async () => "detached" });
	const { connection, closes } = fakeConnection();
	viewers.admit(connection, request);
	await clock.advance(helloTimeoutMs - 1);
	expect(closes).toEqual([]);
	await clock.advance(1);
	expect(closes).toEqual([{ code: 4400, reason: closeReason("bad_request", "no hello came within 10000 ms") }]);
});

test("T1 a socket that leaves before its hello leaves no timer behind", () => {
	const clock = new VirtualClock();
	const viewers = new Viewers({ clock, random: new SeededRandom(1), exitReason: async () => "detached" });
	const { connection, leave } = fakeConnection();
	viewers.admit(connection, request);
	expect(clock.pending).toBe(1);
	leave();
	expect(clock.pending).toBe(0);
});

test("a close reason is JSON of at most 123 bytes, however long its message", () => {
	const reason = closeReason("bad_request", 'ß"'.repeat(200));
	expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
	expect(JSON.parse(reason).message.length).toBeGreaterThan(20);
});
