import { describe, expect, test } from "vitest";
import { type ClientEffect, clientLimits } from "./client-effects.ts";
import { TerminalClient } from "./client-machine.ts";
import { decodeClientFrame } from "./decode-frame.ts";
import {
	encodeEvent,
	encodeExit,
	encodeInputAck,
	encodeOutput,
	encodePong,
	encodeReset,
	encodeWelcome,
} from "./encode-frame.ts";
import { type Welcome } from "./frames.ts";

const KiB = 1024;
const of = (length: number) => new Uint8Array(length).fill(97);
const welcome: Welcome = {
	viewer: "v1",
	session: { id: "warren.1", name: "work" },
	output: 0,
	input: 0,
	resumed: false,
	readOnly: false,
	cols: 80,
	rows: 24,
	mode: "fit",
	windowBytes: 256 * KiB,
};

function client(resume?: { viewer: string; output: number; input: number }): TerminalClient {
	const base = { cols: 80, rows: 24, mode: "fit", fraction: () => 1 } as const;
	return new TerminalClient(resume === undefined ? base : { ...base, resume });
}

function live(): TerminalClient {
	const machine = client();
	machine.start(0);
	machine.opened(1);
	machine.message(1, encodeWelcome(welcome), 0);
	take(machine);
	return machine;
}

function sent(effects: readonly ClientEffect[]) {
	return effects.flatMap((each) => (each.type === "send" ? [decodeClientFrame(each.bytes)] : []));
}

const take = (machine: TerminalClient): ClientEffect[] => [...machine.drain()];
const kinds = (effects: readonly ClientEffect[]) => effects.map((each) => each.type);

test("T1 an open socket says hello first", () => {
	const machine = client();
	machine.start(0);
	expect(take(machine)).toEqual([{ type: "connect", link: 1 }]);
	machine.opened(1);
	expect(sent(take(machine))).toEqual([
		{ type: "hello", hello: { output: 0, input: 0, cols: 80, rows: 24, mode: "fit" } },
	]);
});

test("T3 output that does not begin where the last ended gives the socket up and resumes", () => {
	const machine = live();
	machine.message(1, encodeOutput(0, of(3)), 1);
	machine.message(1, encodeOutput(4, of(3)), 2);
	expect(kinds(take(machine))).toEqual(["write", "disconnect", "lost"]);
	expect(machine.state).toBe("waiting");
});

describe("T5 what the terminal parsed is acknowledged", () => {
	test("at 32 KiB at once, less when idle", () => {
		const machine = live();
		machine.message(1, encodeOutput(0, of(32 * KiB)), 1);
		machine.message(1, encodeOutput(32 * KiB, of(10)), 1);
		const marks = take(machine).flatMap((each) => (each.type === "write" ? [each.mark] : []));
		for (const mark of marks) machine.parsed(mark, 5);
		expect(sent(take(machine))).toEqual([{ type: "ack", output: 32 * KiB }]);
		expect(machine.deadline()).toBe(5 + clientLimits.ackAfterMs);
		machine.tick(5 + clientLimits.ackAfterMs);
		expect(sent(take(machine))).toEqual([{ type: "ack", output: 32 * KiB + 10 }]);
	});

	test("marks of before a reset count no more", () => {
		const machine = live();
		machine.message(1, encodeOutput(0, of(40 * KiB).subarray(0, 32 * KiB)), 1);
		const [write] = take(machine);
		machine.message(1, encodeReset({ output: 100 * KiB, reason: "overrun", missedBytes: 68 * KiB }), 2);
		take(machine);
		if (write?.type === "write") machine.parsed(write.mark, 3);
		expect(take(machine)).toEqual([]);
		machine.message(1, encodeOutput(100 * KiB, of(1)), 4);
		expect(kinds(take(machine))).toEqual(["write"]);
	});
});

describe("T6 a lost socket is resumed", () => {
	test("with what the terminal was given, after a wait", () => {
		const machine = live();
		machine.message(1, encodeOutput(0, of(7)), 1);
		take(machine);
		machine.closed(1, 1006, "", 10);
		expect(take(machine)).toEqual([{ type: "lost", code: 1006, message: "", retryMs: clientLimits.firstRetryMs }]);
		machine.tick(10 + clientLimits.firstRetryMs);
		expect(take(machine)).toEqual([{ type: "connect", link: 2 }]);
		machine.opened(2);
		expect(sent(take(machine))).toMatchObject([{ hello: { viewer: "v1", output: 7 } }]);
	});

	test("waits grow, and are spread by chance", () => {
		const waits: number[] = [];
		const machine = client();
		machine.start(0);
		for (let now = 0, link = 1; waits.length < 8; link += 1) {
			machine.closed(link, 1006, "", now);
			const lost = take(machine).find((each) => each.type === "lost");
			waits.push(lost?.retryMs ?? 0);
			now += lost?.retryMs ?? 0;
			machine.tick(now);
		}
		expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
	});

	test("a page that comes to the front does not wait", () => {
		const machine = live();
		machine.closed(1, 1006, "", 10);
		take(machine);
		machine.probe(11);
		expect(take(machine)).toEqual([{ type: "connect", link: 2 }]);
	});
});

describe("T7 a fresh attachment", () => {
	test("of a viewer that is gone drops what was typed into it, and says so", () => {
		const machine = live();
		machine.type(of(5));
		machine.closed(1, 1006, "", 1);
		machine.tick(1000);
		machine.opened(2);
		take(machine);
		machine.message(2, encodeWelcome({ ...welcome, viewer: "v2" }), 1001);
		const effects = take(machine);
		expect(effects).toContainEqual({ type: "input-lost", bytes: 5 });
		expect(sent(effects).map((each) => each.type)).toEqual(["ping"]);
		machine.type(of(1));
		expect(sent(take(machine))).toMatchObject([{ type: "input", offset: 0 }]);
	});
});

describe("T8 nothing typed is lost or doubled", () => {
	test("whoever leaves before a socket is live is told of what was typed", () => {
		const machine = client();
		machine.start(0);
		machine.opened(1);
		machine.type(of(5));
		machine.close();
		expect(take(machine)).toContainEqual({ type: "input-lost", bytes: 5 });
		const refused = live();
		refused.closed(1, 1006, "", 1);
		refused.type(of(3));
		refused.tick(1000);
		refused.closed(2, 4404, "", 1001);
		expect(take(refused)).toContainEqual({ type: "input-lost", bytes: 3 });
	});

	test("a live socket was given what was typed, also where nobody acknowledged it yet", () => {
		const machine = live();
		machine.type(of(5));
		machine.close();
		expect(kinds(take(machine))).toEqual(["send", "disconnect", "stopped"]);
	});

	test("what lies beyond the welcome's input is sent again", () => {
		const machine = live();
		machine.type(Buffer.from("abc"));
		machine.type(Buffer.from("def"));
		machine.message(1, encodeInputAck(2), 1);
		machine.closed(1, 1006, "", 2);
		machine.type(Buffer.from("g"));
		machine.tick(1000);
		machine.opened(2);
		take(machine);
		machine.message(2, encodeWelcome({ ...welcome, resumed: true, input: 4 }), 1001);
		const again = sent(take(machine)).flatMap((each) =>
			each.type === "input" ? [[each.offset, Buffer.from(each.bytes).toString()]] : [],
		);
		expect(again).toEqual([
			[4, "ef"],
			[6, "g"],
		]);
	});

	test("typed before the first welcome, it is sent after it", () => {
		const machine = client();
		machine.start(0);
		machine.type(of(2));
		machine.opened(1);
		machine.message(1, encodeWelcome(welcome), 1);
		expect(sent(take(machine)).map((each) => each.type)).toEqual(["hello", "input", "ping"]);
	});

	test("T14 above 1 MiB unacknowledged, typing is refused", () => {
		const machine = live();
		expect(machine.type(of(clientLimits.maxUnacknowledgedInputBytes))).toBe(true);
		expect(machine.type(of(1))).toBe(false);
	});
});

test("T11 a read-only viewer's terminal may answer queries as it likes: nothing is sent", () => {
	const machine = live();
	machine.resize(80, 24, "read-only");
	take(machine);
	expect(machine.type(of(1))).toBe(false);
	machine.resize(80, 24, "fit");
	expect(machine.type(of(1))).toBe(true);
	const shared = client();
	shared.start(0);
	shared.opened(1);
	shared.message(1, encodeWelcome({ ...welcome, readOnly: true }), 0);
	expect(shared.type(of(1))).toBe(false);
});

describe("T9 permanent close codes stop the client", () => {
	test.each([4400, 4401, 4403, 4404, 4409])("%i", (code) => {
		const machine = live();
		machine.closed(1, code, '{"error":"x","message":"why"}', 1);
		expect(take(machine)).toEqual([{ type: "stopped", reason: { kind: "refused", code, message: "why" } }]);
		expect(machine.deadline()).toBeUndefined();
	});

	test.each([1000, 1006, 1012, 1013, 4503])("%i is tried again", (code) => {
		const machine = live();
		machine.closed(1, code, "", 1);
		expect(machine.state).toBe("waiting");
	});
});

describe("T15 silence is noticed", () => {
	test("a ping after 20 s, given up 10 s later", () => {
		const machine = live();
		machine.tick(10_000);
		expect(kinds(take(machine))).toEqual(["disconnect", "lost"]);
		const answered = live();
		answered.message(1, encodePong(1), 5);
		expect(take(answered)).toEqual([{ type: "round-trip", ms: 5 }]);
		expect(answered.deadline()).toBe(20_005);
		answered.tick(20_005);
		expect(sent(take(answered))).toEqual([{ type: "ping", token: 2 }]);
		expect(answered.deadline()).toBe(30_005);
	});

	test("a socket that never opens is given up", () => {
		const machine = client();
		machine.start(0);
		take(machine);
		machine.tick(clientLimits.connectMs);
		expect(kinds(take(machine))).toEqual(["disconnect", "lost"]);
	});
});

test("T8 what is typed while effects are performed is sent behind what was typed before", () => {
	const machine = client();
	machine.start(0);
	machine.type(of(2));
	machine.opened(1);
	take(machine);
	machine.message(1, encodeWelcome(welcome), 1);
	const sentInOrder: ClientEffect[] = [];
	const perform = () => {
		for (const effect of machine.drain()) {
			if (effect.type === "send") sentInOrder.push(effect);
			if (effect.type === "welcome") {
				machine.type(of(3));
				perform();
			}
		}
	};
	perform();
	expect(sent(sentInOrder).flatMap((each) => (each.type === "input" ? [each.offset] : []))).toEqual([0, 2]);
});

test("an exit ends it, an event is handed on, an unknown frame is ignored", () => {
	const machine = live();
	machine.message(1, Uint8Array.from([0xf0, 1, 2]), 1);
	machine.message(1, encodeEvent({ type: "bell" }), 1);
	machine.message(1, encodeExit("session-ended"), 2);
	expect(take(machine)).toEqual([
		{ type: "event", event: { type: "bell" } },
		{ type: "disconnect", link: 1, code: 1000, reason: "" },
		{ type: "stopped", reason: { kind: "exit", reason: "session-ended" } },
	]);
});
