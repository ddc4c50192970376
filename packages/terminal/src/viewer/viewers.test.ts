import type { WebSocketConnection } from "@warren/net";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { expect, test } from "vitest";
import { encodeHello, encodeRepaint, helloTimeoutMs } from "../protocol/index.ts";
import type { TmuxServer } from "../tmux/tmux-server.ts";
import { closeReason } from "./close-reason.ts";
import { redrawPauseMs } from "./viewer.ts";
import { Viewers, type ViewRequest, viewersLimits } from "./viewers.ts";

/** As much of a connection as a viewer's door uses. */
function fakeConnection() {
	const closes: { code: number; reason: string }[] = [];
	let left = () => {};
	let hear = (_data: Uint8Array, _binary: boolean) => {};
	const connection = {
		onMessage: (handler: typeof hear) => {
			hear = handler;
		},
		send() {},
		onClose: (handler: () => void) => {
			left = handler;
		},
		close: (code: number, reason: string) => void closes.push({ code, reason }),
	};
	const say = (frame: Uint8Array) => hear(frame, true);
	return { connection: connection as unknown as WebSocketConnection, closes, leave: () => left(), say };
}

const hello = encodeHello({ output: 0, input: 0, cols: 80, rows: 24, mode: "fit" });

/** Attaching is a program that waits; redraws are counted. */
function fakeServer() {
	const seen = { redraws: 0 };
	const server = {
		...{ program: "/bin/sh", clientArguments: ["-c", "cat"], environment: {} },
		repaint: async () => void (seen.redraws += 1),
	};
	return { server: server as unknown as TmuxServer, seen };
}

const requestOf = (server: TmuxServer, owner: string, readOnly: boolean): ViewRequest => ({
	target: { id: "warren.1", name: "work", number: "$1", server, cols: 80, rows: 24 },
	...{ sessionId: "warren.1", owner, readOnly },
});

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

test("whoever asks for one redraw after another gets one a while", async () => {
	const clock = new VirtualClock();
	const viewers = new Viewers({ clock, random: new SeededRandom(1), exitReason: async () => "detached" });
	const { server, seen } = fakeServer();
	const { connection, say } = fakeConnection();
	viewers.admit(connection, requestOf(server, "share:a", true));
	say(hello);
	for (let each = 0; each < 1_000; each++) say(encodeRepaint());
	expect(seen.redraws).toBe(1);
	await clock.advance(1);
	await clock.advance(redrawPauseMs);
	expect(seen.redraws, "what was wanted meanwhile comes once").toBe(2);
	await clock.advance(10 * redrawPauseMs);
	expect(seen.redraws).toBe(2);
	say(encodeRepaint());
	expect(seen.redraws).toBe(3);
	viewers.close();
	expect(clock.pending).toBe(0);
});

test("whoever holds a share cannot take every terminal, and whoever is at home has theirs", () => {
	const clock = new VirtualClock();
	const viewers = new Viewers({ clock, random: new SeededRandom(1), exitReason: async () => "detached" });
	const { server } = fakeServer();
	const come = (owner: string, readOnly: boolean) => {
		const { connection, closes, say } = fakeConnection();
		viewers.admit(connection, requestOf(server, owner, readOnly));
		say(hello);
		return closes;
	};
	const { maxSharedViewers } = viewersLimits;
	try {
		for (let each = 0; each < maxSharedViewers; each++) expect(come("share:a", true)).toEqual([]);
		for (const share of ["share:a", "share:b"])
			expect(come(share, true)).toEqual([
				{ code: 4503, reason: closeReason("too_many", `${maxSharedViewers} terminals are open already`) },
			]);
		expect(come("device:a", false)).toEqual([]);
	} finally {
		viewers.close();
	}
});

test("a close reason is JSON of at most 123 bytes, however long its message", () => {
	const reason = closeReason("bad_request", 'ß"'.repeat(200));
	expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(123);
	expect(JSON.parse(reason).message.length).toBeGreaterThan(20);
});
