import { describe, expect, test } from "vitest";
import { decodeServerFrame } from "./decode-frame.ts";
import { encodeAck, encodeHello, encodeInput, encodePing, encodeResize } from "./encode-frame.ts";
import { type Hello } from "./frames.ts";
import { streamLimits, type ViewerEffect, ViewerStream } from "./server-machine.ts";

const size = { cols: 80, rows: 24 };
const hello: Hello = { output: 0, input: 0, ...size, mode: "fit" };
const of = (length: number) => new Uint8Array(length).fill(120);
const KiB = 1024;

function stream(options: { readOnly?: boolean; limits?: Partial<typeof streamLimits> } = {}): ViewerStream {
	return new ViewerStream({
		viewer: "v1",
		session: { id: "warren.1", name: "work" },
		readOnly: options.readOnly ?? false,
		limits: options.limits ?? {},
	});
}

function opened(options: Parameters<typeof stream>[0] & { hello?: Partial<Hello> } = {}): ViewerStream {
	const viewer = stream(options);
	viewer.open(1, { ...hello, ...options.hello }, size, 0);
	take(viewer);
	return viewer;
}

/** Frames sent, without their payloads' bytes. */
function sent(effects: readonly ViewerEffect[]) {
	return effects
		.filter((each) => each.type === "send")
		.map((each) => decodeServerFrame(each.bytes))
		.map((frame) =>
			frame.type === "output" ? { type: frame.type, offset: frame.offset, length: frame.bytes.length } : frame,
		);
}

function closes(effects: readonly ViewerEffect[]) {
	return effects.flatMap((each) => (each.type === "close" ? [{ link: each.link, code: each.code }] : []));
}

const take = (machine: ViewerStream): ViewerEffect[] => [...machine.drain()];
const kinds = (effects: readonly ViewerEffect[]) => effects.map((each) => each.type);

test("a new viewer is welcomed, its size taken", () => {
	const viewer = stream();
	viewer.open(1, hello, size, 0);
	const effects = take(viewer);
	expect(kinds(effects)).toEqual(["send", "resize"]);
	expect(sent(effects)).toMatchObject([
		{
			type: "welcome",
			welcome: { viewer: "v1", output: 0, input: 0, resumed: false, readOnly: false, windowBytes: 262_144 },
		},
	]);
});

describe("T1 hello comes first and once", () => {
	test("a second hello closes 4400", () => {
		const viewer = opened();
		viewer.receive(1, encodeHello(hello), 1);
		expect(closes(take(viewer))).toEqual([{ link: 1, code: 4400 }]);
	});
});

describe("T2 a malformed frame closes 4400", () => {
	test.each([
		["unknown type", [0x44]],
		["short", [0x02, 1]],
		["empty", []],
	])("%s", (_, message) => {
		const viewer = opened();
		viewer.receive(1, Uint8Array.from(message), 1);
		expect(closes(take(viewer))).toEqual([{ link: 1, code: 4400 }]);
	});
});

test("T3 output frames are contiguous and at most 32 KiB", () => {
	const viewer = opened();
	viewer.output(of(70 * KiB), 10);
	expect(sent(take(viewer))).toEqual([
		{ type: "output", offset: 0, length: 32 * KiB },
		{ type: "output", offset: 32 * KiB, length: 32 * KiB },
		{ type: "output", offset: 64 * KiB, length: 6 * KiB },
	]);
});

describe("T4 unacknowledged output stays within the window", () => {
	test("at the window the PTY is paused, and what it still gave is kept and not sent", () => {
		const viewer = opened();
		viewer.output(of(255 * KiB), 10);
		expect(kinds(take(viewer))).not.toContain("pause");
		viewer.output(of(3 * KiB), 20);
		const effects = take(viewer);
		expect(kinds(effects)).toContain("pause");
		expect(sent(effects)).toEqual([{ type: "output", offset: 255 * KiB, length: KiB }]);
	});

	test("acknowledged to half of it, the PTY goes on and the rest is sent", () => {
		const viewer = opened();
		viewer.output(of(258 * KiB), 10);
		take(viewer);
		viewer.receive(1, encodeAck(64 * KiB), 20);
		expect(kinds(take(viewer))).toEqual(["send"]);
		viewer.receive(1, encodeAck(130 * KiB), 30);
		expect(kinds(take(viewer))).toEqual(["resume"]);
	});

	test("without a socket the window holds as well", () => {
		const viewer = opened();
		viewer.socketClosed(1, 5);
		viewer.output(of(256 * KiB), 10);
		expect(kinds(take(viewer))).toEqual(["pause"]);
	});

	test("it grows with the round trip, to 1 MiB at most", () => {
		const window = (roundTripMs: number) => {
			const viewer = opened();
			viewer.receive(1, encodePing(1), roundTripMs);
			viewer.output(of(1500 * KiB), 1000);
			return sent(take(viewer)).reduce((sum, each) => sum + ("length" in each ? each.length : 0), 0) / KiB;
		};
		expect([1, 25, 50, 100, 5000].map(window)).toEqual([256, 256, 512, 1024, 1024]);
	});
});

test("T5 an acknowledgement of more than was sent closes 4400", () => {
	const viewer = opened();
	viewer.output(of(10), 1);
	viewer.receive(1, encodeAck(11), 2);
	expect(closes(take(viewer))).toEqual([{ link: 1, code: 4400 }]);
});

describe("T6 a viewer outlives its socket for 60 s", () => {
	test("a resume gets every byte from its own output on", () => {
		const viewer = opened();
		viewer.output(of(100), 10);
		viewer.socketClosed(1, 20);
		viewer.output(of(50), 30);
		take(viewer);
		viewer.open(2, { ...hello, viewer: "v1", output: 40 }, size, 40);
		expect(sent(take(viewer))).toMatchObject([
			{ type: "welcome", welcome: { resumed: true, output: 40 } },
			{ type: "output", offset: 40, length: 110 },
		]);
	});

	test("after 60 s it expires, not before", () => {
		const viewer = opened();
		viewer.socketClosed(1, 1000);
		expect(viewer.deadline()).toBe(61_000);
		viewer.tick(60_999);
		expect(take(viewer)).toEqual([]);
		viewer.tick(61_000);
		expect(kinds(take(viewer))).toEqual(["expire"]);
		expect(viewer.expired).toBe(true);
	});

	test("a hello from beyond what there is closes 4400 and leaves the viewer as it was", () => {
		const viewer = opened();
		viewer.output(of(10), 1);
		viewer.open(2, { ...hello, viewer: "v1", output: 11 }, size, 2);
		expect(closes(take(viewer))).toEqual([{ link: 2, code: 4400 }]);
		expect(viewer.live).toBe(true);
	});
});

describe("T7 what left the ring is said to be missed", () => {
	test("too old: a fresh attachment, and output goes on after the reset", () => {
		const viewer = opened({ limits: { ringBytes: 100, windowBytes: 100_000 } });
		viewer.output(of(60), 10);
		viewer.output(of(60), 20);
		viewer.socketClosed(1, 30);
		take(viewer);
		viewer.open(2, { ...hello, viewer: "v1", output: 10 }, size, 40);
		const effects = take(viewer);
		expect(kinds(effects)).toContain("reattach");
		expect(sent(effects)).toMatchObject([
			{ type: "welcome", welcome: { resumed: true, output: 120 } },
			{ type: "reset", reset: { output: 120, reason: "too-old", missedBytes: 110 } },
		]);
		viewer.output(of(5), 50);
		expect(sent(take(viewer))).toEqual([{ type: "output", offset: 120, length: 5 }]);
	});

	test("the viewer is gone: a new one says so, with nothing to count by", () => {
		const viewer = stream();
		viewer.open(1, { ...hello, viewer: "gone", output: 999, input: 7 }, size, 0);
		expect(sent(take(viewer))).toMatchObject([
			{ type: "welcome", welcome: { viewer: "v1", resumed: false, output: 0, input: 0 } },
			{ type: "reset", reset: { output: 0, reason: "reattached", missedBytes: null } },
		]);
	});

	test("overrun: a PTY that cannot be stopped costs a reset, not memory", () => {
		const viewer = opened({ limits: { ringBytes: 100, windowBytes: 50 } });
		viewer.output(of(60), 10);
		viewer.output(of(95), 20);
		const effects = take(viewer);
		expect(sent(effects).at(-1)).toMatchObject({
			type: "reset",
			reset: { reason: "overrun", output: 155, missedBytes: 105 },
		});
		expect(kinds(effects)).toContain("reattach");
	});
});

describe("T8 input is written once", () => {
	test("what was written is skipped, the rest written", () => {
		const viewer = opened();
		viewer.receive(1, encodeInput(0, Buffer.from("abc")), 1);
		viewer.receive(1, encodeInput(1, Buffer.from("bcde")), 2);
		viewer.receive(1, encodeInput(0, Buffer.from("ab")), 3);
		const written = take(viewer).flatMap((each) => (each.type === "write" ? [Buffer.from(each.bytes).toString()] : []));
		expect(written).toEqual(["abc", "de"]);
	});

	test("a gap closes 4400", () => {
		const viewer = opened();
		viewer.receive(1, encodeInput(1, of(1)), 1);
		expect(closes(take(viewer))).toEqual([{ link: 1, code: 4400 }]);
	});

	test("it is acknowledged when the terminal has it", () => {
		const viewer = opened();
		viewer.receive(1, encodeInput(0, of(3)), 1);
		viewer.inputWritten(3, 2);
		viewer.tick(viewer.deadline() ?? 0);
		expect(sent(take(viewer))).toEqual([{ type: "input-ack", input: 3 }]);
	});
});

test("T9 a takeover closes the first socket 4409, and its messages count no more", () => {
	const viewer = opened();
	viewer.open(2, { ...hello, viewer: "v1" }, size, 10);
	expect(closes(take(viewer))).toEqual([{ link: 1, code: 4409 }]);
	viewer.receive(1, encodeInput(0, of(1)), 11);
	viewer.socketClosed(1, 12);
	expect(take(viewer)).toEqual([]);
	expect(viewer.live).toBe(true);
});

describe("T10 leading edge, then gathered", () => {
	test("the first byte goes at once, what follows within 5 ms together", () => {
		const viewer = opened();
		viewer.output(of(1), 100);
		expect(sent(take(viewer))).toHaveLength(1);
		viewer.output(of(2), 101);
		viewer.output(of(3), 104);
		expect(sent(take(viewer))).toEqual([]);
		expect(viewer.deadline()).toBe(105);
		viewer.tick(105);
		expect(sent(take(viewer))).toEqual([{ type: "output", offset: 1, length: 5 }]);
		viewer.output(of(1), 110);
		expect(sent(take(viewer))).toHaveLength(1);
	});

	test("32 KiB do not wait", () => {
		const viewer = opened();
		viewer.output(of(1), 100);
		viewer.output(of(32 * KiB), 101);
		expect(sent(take(viewer))).toHaveLength(2);
	});
});

describe("T11 a read-only viewer does not type", () => {
	test.each([
		["by share", { readOnly: true }],
		["by mode", { hello: { mode: "read-only" as const } }],
	])("%s: input closes 4403", (_, options) => {
		const viewer = opened(options);
		viewer.receive(1, encodeInput(0, of(1)), 1);
		const effects = take(viewer);
		expect(closes(effects)).toEqual([{ link: 1, code: 4403 }]);
		expect(kinds(effects)).not.toContain("write");
	});

	test("a share cannot leave the mode", () => {
		const viewer = opened({ readOnly: true });
		viewer.receive(1, encodeResize(80, 24, "fit"), 1);
		expect(take(viewer)).toEqual([{ type: "resize", cols: 80, rows: 24, mode: "read-only" }]);
		expect(viewer.canType).toBe(false);
	});
});

test("T12 a resize is handed on with its mode", () => {
	const viewer = opened();
	viewer.receive(1, encodeResize(100, 30, "follow"), 1);
	expect(take(viewer)).toEqual([{ type: "resize", cols: 100, rows: 30, mode: "follow" }]);
	expect(viewer.mode).toBe("follow");
});

test("T13 a socket that its watchdog closed leaves its viewer held", () => {
	const viewer = opened();
	viewer.socketClosed(1, 45_000);
	expect(viewer.live).toBe(false);
	expect(viewer.deadline()).toBe(105_000);
});

test("T14 input that the program does not take is bounded at 1 MiB: one byte more closes 1013", () => {
	const viewer = opened();
	for (let at = 0; at < streamLimits.maxPendingInputBytes; at += 64 * KiB) {
		viewer.receive(1, encodeInput(at, of(64 * KiB)), 1);
	}
	expect(closes(take(viewer))).toEqual([]);
	viewer.receive(1, encodeInput(streamLimits.maxPendingInputBytes, of(1)), 2);
	expect(closes(take(viewer))).toEqual([{ link: 1, code: 1013 }]);
});

test("T15 a ping is answered with its token at once", () => {
	const viewer = opened();
	viewer.receive(1, encodePing(99), 1);
	expect(sent(take(viewer))).toEqual([{ type: "pong", token: 99 }]);
});

describe("the exit", () => {
	test("follows the last output, then the socket closes 1000 and the viewer expires", () => {
		const viewer = opened();
		viewer.output(of(300 * KiB), 10);
		take(viewer);
		viewer.exited("session-ended", 11);
		expect(sent(take(viewer))).toEqual([]);
		viewer.receive(1, encodeAck(256 * KiB), 20);
		const effects = take(viewer);
		expect(sent(effects).map((each) => each.type)).toEqual(["output", "output", "exit"]);
		expect(closes(effects)).toEqual([{ link: 1, code: 1000 }]);
		expect(kinds(effects).at(-1)).toBe("expire");
	});

	test("waits for a viewer that is away", () => {
		const viewer = opened();
		viewer.socketClosed(1, 5);
		viewer.output(of(10), 6);
		viewer.exited("killed", 7);
		expect(take(viewer)).toEqual([]);
		viewer.open(2, { ...hello, viewer: "v1" }, size, 8);
		expect(sent(take(viewer)).map((each) => each.type)).toEqual(["welcome", "output", "exit"]);
	});
});
