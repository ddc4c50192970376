import { execFile } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { promisify } from "node:util";
import { tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tmuxEnvironment } from "./environment.ts";
import type { SessionNumber } from "./rows.ts";
import { ownSocket } from "./socket.ts";
import { tmuxInstalled, until } from "./tmux.testing.ts";
import { TmuxServer } from "./tmux-server.ts";

describe.skipIf(!tmuxInstalled)("tmux, for real (skipped where tmux is not installed)", () => {
	let folder: ReturnType<typeof tempFolder>;
	let server: TmuxServer;

	beforeEach(() => {
		folder = tempFolder("tmux");
		server = new TmuxServer(ownSocket(folder.file("s")), {
			environment: tmuxEnvironment({ PATH: process.env["PATH"], HOME: folder.path, SHELL: "/bin/sh" }),
			platform: process.platform,
		});
	});

	afterEach(async () => {
		await server.kill();
		folder[Symbol.dispose]();
	});

	const create = (name: string, command?: string) =>
		server.createSession({ name, cwd: folder.path, ...(command === undefined ? {} : { command }) });

	test("a server that does not run has no sessions", async () => {
		expect(await server.sessions()).toEqual([]);
	});

	test("sessions are created, listed, renamed, ended", async () => {
		const number = await create("wörk one");
		expect(await server.sessions()).toMatchObject([{ number, name: "wörk one", windows: 1, attached: 0, bell: false }]);
		await until(async () => (await server.session(number)).cwd === folder.path);
		await server.renameSession(number, "two");
		expect((await server.session(number)).name).toBe("two");
		await server.killSession(number);
		expect(await server.sessions()).toEqual([]);
	});

	test("a name that is taken is refused, by create and by rename", async () => {
		await create("work");
		const other = await create("other");
		await expect(create("work")).rejects.toMatchObject({ code: "session_exists", status: 409 });
		await expect(server.renameSession(other, "work")).rejects.toMatchObject({ code: "session_exists" });
	});

	test("a number that is gone is unknown, whatever is asked of it", async () => {
		await create("work");
		await expect(server.session("$99")).rejects.toMatchObject({ code: "unknown_session", status: 404 });
		await expect(server.renameSession("$99", "x")).rejects.toMatchObject({ code: "unknown_session" });
		await expect(server.killSession("$99")).rejects.toMatchObject({ code: "unknown_session" });
		await expect(server.windows("$99")).rejects.toMatchObject({ code: "unknown_session" });
		await expect(server.renameWindow("@99", "x")).rejects.toMatchObject({ code: "unknown_window" });
		await expect(server.killPane("%99")).rejects.toMatchObject({ code: "unknown_pane" });
		await expect(server.history("%99", 10, 0)).rejects.toMatchObject({ code: "unknown_pane" });
	});

	test("trap: a folder's name is a format to tmux; escaped, it runs nothing", async () => {
		const hostile = folder.file("we\nird #(touch pwned) #S ;");
		mkdirSync(hostile);
		const number = await server.createSession({ name: "a", cwd: hostile });
		// Until its program has gone there, it stands where the server does.
		await until(async () => (await server.session(number)).cwd === hostile.replace("\n", "?"));
		expect(existsSync(folder.file("pwned"))).toBe(false);
	});

	test("trap: of a pane that is just starting, or dead, tmux knows no folder: it is where the pane began", async () => {
		await create("keep");
		const hostile = folder.file("we #(touch pwned) #S, {};");
		mkdirSync(hostile);
		const tmux = async (...line: string[]) =>
			(await promisify(execFile)("tmux", ["-S", folder.file("s"), ...line])).stdout.trim();
		await tmux("set-option", "-g", "remain-on-exit", "on");
		const number = await server.createSession({ name: "a", cwd: hostile, command: "exit" });
		await until(async () => (await tmux("display-message", "-p", "-t", `${number}:`, "#{pane_dead}")) === "1");
		expect(await tmux("display-message", "-p", "-t", `${number}:`, "#{pane_current_path}")).toBe("");
		expect((await server.session(number)).cwd).toBe(hostile);
		const [window] = await server.windows(number);
		const pane = await server.splitPane(window?.number ?? "@0", "down");
		const folders = async () => (await server.windows(number))[0]?.panes.map(({ cwd }) => cwd).join();
		await until(async () => (await folders()) === [hostile, hostile].join());
		const [after] = await server.windows(number);
		expect(after?.panes[1]?.number).toBe(pane);
		expect(existsSync(folder.file("pwned"))).toBe(false);
	});

	test("trap: a command's trailing ; is not eaten, and it is no format", async () => {
		const number = await create("a", "echo '#S'; cat;");
		await until(async () => (await server.history(number, 50, 0)).text.startsWith("#S"));
	});

	test("trap: a prefix or a glob of a name addresses nothing", async () => {
		await create("work");
		for (const name of ["wor", "w*", "=work", "$", "$0;", ""]) {
			await expect(server.killSession(name as SessionNumber)).rejects.toThrow("is no number of tmux's");
		}
		expect(await server.sessions()).toHaveLength(1);
	});

	test("trap: titles with separators of any kind do not break the listing", async () => {
		const title = "1:2 3:x | ; é ␞ S";
		const number = await create("a", `printf '\\033]2;%s\\007' '${title}'; cat`);
		await until(async () => (await server.windows(number))[0]?.panes[0]?.title === title.replace("␞", "?"));
	});

	test("windows and panes: open, rename, select, split, zoom, close", async () => {
		const session = await create("a");
		const window = await server.createWindow(session, { name: "logs", cwd: folder.path });
		expect((await server.windows(session)).map((each) => [each.name, each.active]).at(-1)).toEqual(["logs", true]);
		await server.renameWindow(window, "mehr");
		const [first] = await server.windows(session);
		await server.selectWindow(session, first?.number ?? "@0");
		const pane = await server.splitPane(window, "right");
		await server.splitPane(pane, "down");
		await server.toggleZoom(pane);
		let found = (await server.windows(session)).find((each) => each.number === window);
		expect(found).toMatchObject({ name: "mehr", active: false, zoomed: true });
		expect(found?.panes).toHaveLength(3);
		await server.selectPane(pane);
		await server.killPane(pane);
		found = (await server.windows(session)).find((each) => each.number === window);
		expect(found?.panes).toHaveLength(2);
		await server.killWindow(window);
		expect(await server.windows(session)).toHaveLength(1);
	});

	test("a window too small to split says so", async () => {
		const session = await create("a");
		const [window] = await server.windows(session);
		const splitMany = async () => {
			for (let count = 0; count < 40; count += 1) await server.splitPane(window?.number ?? "@0", "down");
		};
		await expect(splitMany()).rejects.toMatchObject({ code: "no_space", status: 409 });
	});

	test("history pages backwards with its colours, search finds the newest first", async () => {
		const session = await create("a", "for i in $(seq 1 300); do printf '\\033[31mline %d\\033[0m\\n' $i; done; cat");
		await until(async () => (await server.search(session, "line 300", 1)).matches.length === 1);
		const page = await server.history(session, 100, 50);
		expect(page).toMatchObject({ lines: 100, more: true });
		expect(page.text).toMatch(/^\u001b\[31mline 152\n/);
		expect(page.text).not.toContain("line 252");
		const oldest = await server.history(session, 20_000, 0);
		expect(oldest.more).toBe(false);
		expect(oldest.text.startsWith("\u001b[31mline 1\n")).toBe(true);
		expect(await server.history(session, 10, 10_000)).toEqual({ text: "", lines: 0, more: false });
		const { matches, truncated } = await server.search(session, "LINE 29".toLowerCase(), 5);
		expect(matches.map((each) => each.text)).toEqual(["line 299", "line 298", "line 297", "line 296", "line 295"]);
		expect(truncated).toBe(true);
		expect((await server.search(session, "LINE 29", 5)).matches).toEqual([]);
	});

	test("last lines are each pane's own", async () => {
		const one = await server.session(await create("a", "echo first; cat"));
		const two = await server.session(await create("b", "printf 'x\\nsecond\\n\\n'; cat"));
		const panes = [one.pane, two.pane];
		await until(async () => [...(await server.lastLines(panes)).values()].join() === "first,second");
	});

	test("the node's own variables do not reach a shell", async () => {
		const secret = new TmuxServer(server.socket, {
			environment: tmuxEnvironment({
				...process.env,
				WARREN_PIN: "4711",
				OPENAI_API_KEY: "k",
				TMUX: "x",
				LANG: "C",
				LC_ALL: "",
			}),
			platform: process.platform,
		});
		const number = await secret.createSession({ name: "a", cwd: "/", command: "env; echo done; cat" });
		await until(async () => (await server.search(number, "done", 1)).matches.length === 1);
		const { text } = await server.history(number, 1000, 0);
		expect(text).toContain("LC_ALL=C.UTF-8");
		expect(text).not.toMatch(/4711|OPENAI|TMUX=x/);
	});

	test("tmux that is not installed is told apart", async () => {
		const missing = new TmuxServer(server.socket, { environment: {}, platform: "linux", program: "/nonexistent/tmux" });
		await expect(missing.sessions()).rejects.toMatchObject({ code: "tmux_missing", status: 503 });
	});
});
