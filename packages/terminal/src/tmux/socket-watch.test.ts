import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tmuxEnvironment } from "./environment.ts";
import { longCommandMs, type TmuxEvent } from "./snapshot-changes.ts";
import { ownSocket } from "./socket.ts";
import { SocketWatch } from "./socket-watch.ts";
import { tmuxInstalled, until } from "./tmux.testing.ts";
import { TmuxServer } from "./tmux-server.ts";

describe.skipIf(!tmuxInstalled)("events of a real tmux (skipped where tmux is not installed)", () => {
	let folder: ReturnType<typeof tempFolder>;
	let server: TmuxServer;
	let watch: SocketWatch;
	let events: TmuxEvent[];

	beforeEach(() => {
		folder = tempFolder("watch");
		events = [];
		server = new TmuxServer(ownSocket(folder.file("s")), {
			environment: tmuxEnvironment({ PATH: process.env["PATH"], HOME: folder.path, SHELL: "/bin/sh" }),
			platform: process.platform,
		});
		watch = new SocketWatch(server, { clock: systemClock, random: systemRandom, logger: silentLogger }, (event) =>
			events.push(event),
		);
	});

	afterEach(async () => {
		watch.close();
		await server.kill();
		folder[Symbol.dispose]();
	});

	test("a long command that gives the shell back is told, with how long it ran", async () => {
		watch.close();
		let passedMs = 0;
		const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + passedMs };
		watch = new SocketWatch(server, { clock, random: systemRandom, logger: silentLogger }, (event) =>
			events.push(event),
		);
		const session = await server.createSession({ name: "a", cwd: "/" });
		watch.wake();
		await until(() => watch.snapshot?.size === 1);
		const cord = cordOf("cord");
		const tmux = (...args: string[]) => execFileSync("tmux", ["-S", folder.file("s"), ...args]);
		tmux("send-keys", "-t", `${session}:`, `cat ${cord}`, "Enter");
		const commands = () =>
			[...(watch.snapshot?.values() ?? [])].flatMap(({ windows }) =>
				[...windows.values()].flatMap(({ panes }) => [...panes.values()].map(({ command }) => command)),
			);
		await until(() => commands().includes("cat"));
		passedMs = longCommandMs;
		writeFileSync(cord, "over\n");
		await until(() => events.some((each) => each.type === "command-finished"));
		const finished = events.find((each) => each.type === "command-finished");
		expect(finished).toMatchObject({ session, command: "cat" });
		expect(finished?.durationMs).toBeGreaterThanOrEqual(longCommandMs);
	});

	/** A program that reads it waits until the test writes. */
	function cordOf(name: string): string {
		execFileSync("mkfifo", [folder.file(name)]);
		return folder.file(name);
	}

	const seen = (expected: TmuxEvent) => () => events.some((each) => JSON.stringify(each) === JSON.stringify(expected));

	test("sessions, names, windows and bells are told without asking; a session's end does not end the watch", async () => {
		watch.wake();
		await until(() => watch.snapshot !== undefined);
		expect(watch.attachedTo).toBeUndefined();
		const first = await server.createSession({ name: "one", cwd: "/" });
		watch.wake();
		await until(() => watch.attachedTo === first);
		await until(seen({ type: "sessions" }));
		await server.renameSession(first, "uno: no");
		await until(() => events.some((each) => each.type === "renamed"));
		// A bell that rings before anybody has seen its session is no news.
		const cord = cordOf("cord");
		const command = `read line < ${cord}; printf '\\a'; cat`;
		const second = await server.createSession({ name: "two", cwd: "/", command });
		await until(() => watch.snapshot?.size === 2);
		const window = await server.createWindow(second, {});
		await until(seen({ type: "windows", session: second }));
		const [ringing] = await server.windows(second);
		writeFileSync(cord, "ring\n");
		await until(seen({ type: "bell", session: second, window: ringing?.number ?? "@0" }));
		expect(window).not.toBe(ringing?.number);
		events.length = 0;
		await server.killSession(first);
		await until(seen({ type: "sessions" }));
		await until(() => watch.attachedTo === second);
		await server.killSession(second);
		await until(() => watch.snapshot?.size === 0 && watch.attachedTo === undefined);
	});
});
