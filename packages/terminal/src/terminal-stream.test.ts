import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { SeededRandom, tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { encodeAck, encodeHello, encodeInput, streamLimits } from "./protocol/index.ts";
import { TestNode } from "./terminal.testing.ts";
import { tmuxInstalled, until } from "./tmux/tmux.testing.ts";

describe.skipIf(!tmuxInstalled)(
	"terminals over real sockets and a real tmux (skipped where tmux is not installed)",
	() => {
		let node: TestNode;

		beforeEach(async () => {
			node = await TestNode.open();
		});

		afterEach(() => node.close());

		const hello = { output: 0, input: 0, cols: 80, rows: 24, mode: "fit" } as const;

		test("attach, type, see; the size is the viewer's own", async () => {
			const session = await node.session("work");
			const terminal = node.terminal(session, { cols: 91, rows: 33 });
			const { welcome } = await terminal.notice("welcome");
			expect(welcome).toMatchObject({
				session: { id: session, name: "work" },
				cols: 91,
				rows: 33,
				resumed: false,
				readOnly: false,
			});
			terminal.type("stty size; echo grü''ße\r");
			await terminal.shows("33 91");
			await terminal.shows("grüße");
			await until(() => terminal.loop.unacknowledgedInputBytes === 0);
			expect((await node.call("GET", `/api/sessions/${session}`)).body).toMatchObject({ viewers: 1, attached: 1 });
		});

		test("a session is also addressed by its exact name; an unknown one closes 4404", async () => {
			await node.session("my work");
			await node.terminal("my work").live();
			const unknown = node.terminal("wor");
			expect((await unknown.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4404 });
			const gone = node.terminal("warren.999");
			expect((await gone.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4404 });
		});

		test.each([
			["T1 input first", encodeInput(0, Buffer.from("x"))],
			["T2 an unknown type", Uint8Array.from([0x44])],
			["T2 half a frame", Uint8Array.from([0x02, 0])],
			["T2 broken JSON", Uint8Array.from([0x01, 0x7b])],
			["T2 text", "hello"],
		])("%s closes 4400", async (_, message) => {
			const session = await node.session("work");
			const connection = await node.dial(`/ws/${session}`);
			const closed = new Promise<{ code: number; reason: string }>((resolve) =>
				connection.onClose((each, reason) => resolve({ code: each, reason })),
			);
			connection.send(message);
			const { code, reason } = await closed;
			expect(code).toBe(4400);
			expect(JSON.parse(reason)).toMatchObject({ error: "bad_request" });
		});

		test("T2 T5 malformed frames after the hello close 4400, too", async () => {
			const session = await node.session("work");
			for (const message of [Uint8Array.from([0x07]), encodeAck(10_000_000), "text"]) {
				const connection = await node.dial(`/ws/${session}`);
				const closed = new Promise<number>((resolve) => connection.onClose(resolve));
				connection.send(encodeHello(hello));
				connection.send(message);
				expect(await closed).toBe(4400);
			}
		});

		test("T6 T8 cut again and again, nothing of the output is lost or doubled, nor of what was typed", async () => {
			using folder = tempFolder("cuts");
			const lines = Array.from(
				{ length: 30_000 },
				(_, i) => `line ${String(i).padStart(5, "0")} ${"é".repeat(20)}\n`,
			).join("");
			const keys = Array.from({ length: 6_000 }, (_, i) => `key ${String(i).padStart(5, "0")};`).join("");
			writeFileSync(folder.file("lines"), lines);
			// In tmux's place, a program whose every byte is known: tmux redraws as it sees fit.
			const attached = `stty raw -echo; printf ready; head -c 1 >/dev/null; cat ${folder.file("lines")}; head -c ${keys.length} > ${folder.file("typed")}; printf over; exec sleep 60`;
			const stub = `#!/bin/sh\ncase "$*" in *"attach-session -E"*) ${attached};; *) exec tmux "$@";; esac\n`;
			writeFileSync(folder.file("stub"), stub, { mode: 0o755 });
			await node.close();
			node = await TestNode.open({ program: folder.file("stub") });
			const terminal = node.terminal(await node.session("work"));
			await terminal.live();
			terminal.type("!");
			const random = new SeededRandom(7);
			let cuts = 0;
			let typed = 0;
			while (terminal.bytes < Buffer.byteLength(lines) || typed < keys.length) {
				const target = terminal.bytes + 1 + random.integer(60_000);
				const more = keys.slice(typed, typed + 1 + random.integer(4_000));
				expect(terminal.type(more)).toBe(true);
				typed += more.length;
				await until(() => terminal.bytes >= Math.min(target, Buffer.byteLength(lines)));
				await terminal.live();
				terminal.cut();
				cuts += 1;
				await until(() => terminal.notices.filter((each) => each.type === "lost").length >= cuts);
			}
			await terminal.shows("over");
			expect(cuts).toBeGreaterThan(30);
			expect(terminal.notices.filter((each) => each.type === "reset")).toEqual([]);
			expect(firstDifference(terminal.text, `ready${lines}over`)).toBeNull();
			expect(firstDifference(readFileSync(folder.file("typed"), "utf8"), keys)).toBeNull();
		});

		test("T11 T12 a read-only viewer sees, and its keys reach nothing", async () => {
			const session = await node.session("work");
			const writer = node.terminal(session, { cols: 70, rows: 20 });
			await writer.live();
			const reader = node.terminal(session, { mode: "read-only", cols: 200, rows: 60 });
			expect((await reader.notice("welcome")).welcome).toMatchObject({ mode: "read-only" });
			expect(reader.type("echo intruder\r")).toBe(false);
			const raw = await node.dial(`/ws/${session}`);
			const closed = new Promise<number>((resolve) => raw.onClose(resolve));
			raw.send(encodeHello({ ...hello, mode: "read-only" }));
			raw.send(encodeInput(0, Buffer.from("echo intruder\r")));
			expect(await closed).toBe(4403);
			writer.type("stty size; echo done\r");
			await reader.shows("20 70");
			expect(writer.text).not.toContain("intruder");
		});

		test("T12 follow never resizes, is told of the size, and can become fit", async () => {
			const session = await node.session("work");
			const fit = node.terminal(session, { cols: 100, rows: 30 });
			await fit.live();
			fit.type("echo ready\r");
			await fit.shows("ready");
			const follow = node.terminal(session, { mode: "follow", cols: 40, rows: 10 });
			expect((await follow.notice("welcome")).welcome).toMatchObject({ mode: "follow", cols: 100, rows: 30 });
			follow.type("stty size\r");
			await fit.shows("30 100");
			fit.loop.resize(90, 25, "fit");
			await until(() =>
				follow.notices.some(
					(each) =>
						each.type === "event" && each.event.type === "size" && each.event.cols === 90 && each.event.rows === 25,
				),
			);
			follow.loop.resize(60, 15, "fit");
			await until(async () => {
				const { body } = await node.call("GET", `/api/sessions/${session}`);
				return body.width === 60 && body.height === 15;
			});
		});

		test("T9 a takeover closes the first socket 4409; another device cannot take over", async () => {
			const session = await node.session("work");
			const first = node.terminal(session);
			await first.live();
			const viewer = first.loop.resumePoint?.viewer ?? "";
			const stranger = await node.dial(`/ws/${session}`, "wd_other");
			const welcomed = new Promise<string>((resolve) => stranger.onMessage((data) => resolve(data.toString("latin1"))));
			stranger.send(encodeHello({ ...hello, viewer }));
			expect(await welcomed).toContain('"resumed":false');
			const second = await node.dial(`/ws/${session}`);
			second.send(encodeHello({ ...hello, viewer }));
			expect((await first.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4409 });
		});

		test("a session that is ended through the API exits as killed, one whose shell ends as session-ended, a detach as detached", async () => {
			const killed = node.terminal(await node.session("a"));
			const ended = node.terminal(await node.session("b"));
			const detached = node.terminal(await node.session("c"));
			await Promise.all([killed.live(), ended.live(), detached.live()]);
			expect((await node.call("DELETE", "/api/sessions/a")).status).toBe(204);
			ended.type("exit\r");
			detached.type("\u0002d");
			expect((await killed.notice("stopped")).reason).toEqual({ kind: "exit", reason: "killed" });
			expect((await ended.notice("stopped")).reason).toEqual({ kind: "exit", reason: "session-ended" });
			expect((await detached.notice("stopped")).reason).toEqual({ kind: "exit", reason: "detached" });
		});

		test("a session that ended while its viewer was away is told when it comes back", async () => {
			const session = await node.session("a");
			const terminal = node.terminal(session);
			await terminal.live();
			terminal.type("sleep 0.2; exit\r");
			await until(() => terminal.loop.unacknowledgedInputBytes === 0);
			terminal.cut();
			expect((await terminal.notice("stopped")).reason).toMatchObject({ kind: "exit" });
		});

		test("T4 yes, with a client that has stopped reading, costs one window; others are not held up", async () => {
			const session = await node.session("flood");
			const parses: (() => void)[] = [];
			const stalled = node.terminal(session, { parse: (parsed) => parses.push(parsed) });
			const other = node.terminal(await node.session("other"));
			await Promise.all([stalled.live(), other.live()]);
			// Alternating colours keep tmux from collapsing it all to nothing.
			const ended = node.folder.file("ended");
			const flood = `while :; do printf "\\033[3%dmflood %s\\033[0m\\n" $((i%8)) $i; i=$((i+1)); done`;
			stalled.type(`sh -c 'trap "touch ${ended}; exit" INT; ${flood}'\r`);
			await until(() => stalled.bytes >= streamLimits.windowBytes);
			other.type("echo still''here\r");
			await other.shows("stillhere");
			expect(stalled.bytes).toBeLessThanOrEqual(streamLimits.maxWindowBytes);
			stalled.type("\u0003");
			// What is typed on before may be lost with what the system throws away at an interrupt.
			await until(() => existsSync(ended));
			let drained = 0;
			stalled.type("echo all''over\r");
			await until(() => {
				for (; drained < parses.length; drained += 1) parses[drained]?.();
				return stalled.text.includes("allover");
			});
		});

		test("a rename reaches viewers and pages; so does a bell", async () => {
			const session = await node.session("old");
			const feed = await node.dial("/ws/~events");
			const heard: { type: string }[] = [];
			feed.onMessage((data) => heard.push(JSON.parse(data.toString())));
			const terminal = node.terminal(session);
			await terminal.live();
			await until(() => node.service.viewers.watching(session) === 1);
			expect((await node.call("PATCH", `/api/sessions/${session}`, { name: "new" })).body.name).toBe("new");
			await until(() =>
				terminal.notices.some(
					(each) => each.type === "event" && JSON.stringify(each.event) === '{"type":"renamed","name":"new"}',
				),
			);
			await until(() => heard.some((each) => each.type === "sessions"));
			const { body } = await node.call("GET", `/api/sessions/${session}/windows`);
			terminal.type("printf '\\a'\r");
			await until(() =>
				heard.some(
					(each) => JSON.stringify(each) === JSON.stringify({ type: "bell", session, window: body.windows[0].id }),
				),
			);
		});

		test("a page's feed takes no share, and hears of new sessions without asking", async () => {
			const feed = await node.dial("/ws/~events");
			const heard = new Promise<unknown>((resolve) => feed.onMessage((data) => resolve(JSON.parse(data.toString()))));
			await node.session("one");
			expect(await heard).toEqual({ type: "sessions" });
		});

		test("a revoked device's terminals close 4401, and nothing of it is held", async () => {
			const session = await node.session("work");
			const mine = node.terminal(session, { token: "wd_lost" });
			const theirs = node.terminal(session, { token: "wd_kept" });
			await Promise.all([mine.live(), theirs.live()]);
			node.service.endOwner("device:lost");
			expect((await mine.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4401 });
			expect(theirs.loop.state).toBe("live");
			expect(node.service.viewers.holds(session, "device:lost")).toBe(false);
		});
	},
);

/** Where two long texts part, with what stands there: a whole diff of megabytes helps nobody. */
function firstDifference(actual: string, expected: string): object | null {
	if (actual === expected) return null;
	let at = 0;
	while (actual[at] === expected[at]) at += 1;
	return {
		at,
		actual: actual.slice(at, at + 40),
		expected: expected.slice(at, at + 40),
		lengths: [actual.length, expected.length],
	};
}
