import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tempFolder } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { installLine } from "../conditions.ts";
import { MovableClock, TestNode } from "../terminal.testing.ts";
import { tmuxInstalled, until } from "../tmux/tmux.testing.ts";
import { terminalRoutes } from "./terminal-routes.ts";

test("without tmux the list is empty and says how to install it; the rest says so, too", async () => {
	const node = await TestNode.open({ program: "/nonexistent/tmux" });
	try {
		const { status, body } = await node.call("GET", "/api/sessions");
		expect(status).toBe(200);
		expect(body).toMatchObject({
			sessions: [],
			condition: { code: "tmux-missing", advice: expect.stringContaining("Install it: ") },
		});
		expect(node.health.list()).toMatchObject([{ code: "tmux-missing", severity: "warning" }]);
		const refused = await node.call("POST", "/api/sessions", { name: "a" });
		expect(refused.status).toBe(503);
		expect(refused.body).toMatchObject({ error: "tmux_missing", fix: expect.stringContaining("tmux") });
	} finally {
		await node.close();
	}
});

test("a tmux that is too old is said to be, and its version with it", async () => {
	using folder = tempFolder("old");
	writeFileSync(folder.file("tmux"), "#!/bin/sh\necho tmux 3.1c\n", { mode: 0o755 });
	const node = await TestNode.open({ program: folder.file("tmux") });
	try {
		const { body } = await node.call("GET", "/api/sessions");
		expect(body).toMatchObject({
			sessions: [],
			condition: { code: "tmux-old", title: expect.stringContaining("3.1c") },
		});
		expect(await node.call("POST", "/api/sessions", { name: "a" })).toMatchObject({
			status: 503,
			body: { error: "tmux_old" },
		});
	} finally {
		await node.close();
	}
});

test("the line that installs tmux fits the system", () => {
	expect(installLine("darwin")).toBe("brew install tmux");
	expect(installLine("linux", (path) => path === "/usr/bin/apt-get")).toBe("sudo apt install tmux");
	expect(installLine("linux", (path) => path === "/usr/bin/dnf")).toBe("sudo dnf install tmux");
	expect(installLine("linux", () => false)).toContain("package tmux");
});

describe.skipIf(!tmuxInstalled)("the API on a real tmux (skipped where tmux is not installed)", () => {
	let node: TestNode;

	beforeEach(async () => {
		node = await TestNode.open({ maxUploadBytes: 100_000 });
	});

	afterEach(() => node.close());

	test("sessions are created, shown, renamed, ended, and all of it is audited", async () => {
		const created = await node.call("POST", "/api/sessions", { name: "grüße 1", command: "echo last line; exec cat" });
		expect(created.status).toBe(201);
		const { id } = created.body;
		expect(id).toMatch(/^warren\.\d+$/);
		// The line is there before the shell has become `cat`.
		await until(async () => {
			const { lastLine, command } = (await node.call("GET", `/api/sessions/${id}`)).body;
			return lastLine === "last line" && command === "cat";
		});
		const { body } = await node.call("GET", "/api/sessions");
		expect(body.condition).toBeUndefined();
		expect(body.sessions).toMatchObject([
			{
				id,
				name: "grüße 1",
				windows: 1,
				socket: "warren",
				own: true,
				command: "cat",
				cwd: node.folder.path,
				bell: false,
				width: 120,
				height: 40,
				viewers: 0,
			},
		]);
		await until(async () => (await node.call("GET", `/api/sessions/${id}`)).body.attached === 0);
		expect(body.sessions[0].createdUnix).toBeGreaterThan(1_700_000_000);
		expect((await node.call("PATCH", `/api/sessions/${id}`, { name: "b" })).body).toMatchObject({ id, name: "b" });
		expect((await node.call("GET", "/api/sessions/b")).body.id).toBe(id);
		expect((await node.call("DELETE", `/api/sessions/${id}`)).status).toBe(204);
		expect((await node.call("DELETE", `/api/sessions/${id}`)).status).toBe(404);
		expect(node.audited.map((each) => [each.action, each.target])).toEqual([
			["session.create", id],
			["session.rename", id],
			["session.kill", id],
		]);
	});

	test.each(["", "a.b", "a:b", "#(touch x)", "-x", " x", "a;", "a\n", "x".repeat(65), "$1", "é/"])(
		"the name %j is refused with the rule",
		async (name) => {
			const { status, body } = await node.call("POST", "/api/sessions", { name });
			expect(status).toBe(400);
			expect(body).toMatchObject({ error: "bad_name", fix: expect.stringContaining("letters, digits, spaces") });
		},
	);

	test("bad input is refused: a taken name 409, a folder that is none 400, a body that is none 400", async () => {
		await node.session("a");
		expect(await node.call("POST", "/api/sessions", { name: "a" })).toMatchObject({
			status: 409,
			body: { error: "session_exists" },
		});
		expect(await node.call("POST", "/api/sessions", { name: "b", cwd: "/nonexistent" })).toMatchObject({
			status: 400,
			body: { error: "bad_folder" },
		});
		expect(await node.call("POST", "/api/sessions", { name: "b", cwd: "etc" })).toMatchObject({ status: 400 });
		expect(await node.call("POST", "/api/sessions", { title: "b" })).toMatchObject({
			status: 400,
			body: { error: "bad_request" },
		});
		expect(await node.call("GET", "/api/sessions/none")).toMatchObject({
			status: 404,
			body: { error: "unknown_session" },
		});
		expect(await node.call("GET", "/api/sessions/other.0")).toMatchObject({ status: 404 });
	});

	test("windows and panes: list, open, rename, select, split, zoom, close; strangers' are 404", async () => {
		const id = await node.session("a");
		const other = await node.session("b");
		const path = `/api/sessions/${id}/windows`;
		const opened = await node.call("POST", path, { name: "logs" });
		expect(opened).toMatchObject({ status: 201, body: { name: "logs", active: true, zoomed: false, bell: false } });
		const window = `${path}/${opened.body.id}`;
		const split = await node.call("POST", `${window}/split`, { direction: "right" });
		expect(split.status).toBe(201);
		expect(split.body.panes).toHaveLength(2);
		const first = split.body.panes[0].id;
		expect((await node.call("POST", `/api/sessions/${id}/panes/${first}/select`)).status).toBe(204);
		expect((await node.call("POST", `${window}/zoom`)).status).toBe(204);
		expect((await node.call("PATCH", window, { name: "neu" })).body).toMatchObject({ name: "neu", zoomed: true });
		expect((await node.call("POST", `${window}/zoom`, { pane: first })).status).toBe(204);
		expect((await node.call("DELETE", `/api/sessions/${id}/panes/${first}`)).status).toBe(204);
		const { windows } = (await node.call("GET", path)).body;
		expect(windows).toHaveLength(2);
		expect(windows[1]).toMatchObject({ name: "neu", zoomed: false, panes: [{ active: true }] });
		expect((await node.call("POST", `${path}/${windows[0].id}/select`)).status).toBe(204);
		const stranger = (await node.call("GET", `/api/sessions/${other}/windows`)).body.windows[0];
		expect(await node.call("DELETE", `${path}/${stranger.id}`)).toMatchObject({
			status: 404,
			body: { error: "unknown_window" },
		});
		expect(await node.call("DELETE", `/api/sessions/${id}/panes/${stranger.panes[0].id}`)).toMatchObject({
			status: 404,
			body: { error: "unknown_pane" },
		});
		expect((await node.call("PATCH", window, { name: "#(touch x)" })).status).toBe(400);
		expect((await node.call("DELETE", window)).status).toBe(204);
	});

	test("history and search answer; their bounds are kept", async () => {
		const id = await node.session("a", "seq 1 500; exec cat");
		await until(async () => (await node.call("GET", `/api/sessions/${id}/search?q=500`)).body.matches.length === 1);
		const { body } = await node.call("GET", `/api/sessions/${id}/history?lines=10&before=60`);
		expect(body).toMatchObject({ lines: 10, more: true });
		expect(body.text.split("\n")).toHaveLength(11);
		const found = await node.call("GET", `/api/sessions/${id}/search?q=49&limit=3`);
		expect(found.body).toMatchObject({ truncated: true, matches: [{ text: "499" }, { text: "498" }, { text: "497" }] });
		for (const query of [
			"history?lines=0",
			"history?lines=x",
			"history?lines=20001",
			"search?q=",
			`search?q=${"x".repeat(201)}`,
			"search?q=a&limit=-1",
		]) {
			expect([query, (await node.call("GET", `/api/sessions/${id}/${query}`)).status]).toEqual([query, 400]);
		}
		expect((await node.call("GET", `/api/sessions/${id}/history?pane=999`)).status).toBe(404);
	});

	test("the user's own tmux is offered beside ours, watched, and never tuned", async () => {
		using users = tempFolder("user");
		const uid = process.getuid?.() ?? 0;
		const environment = { PATH: process.env["PATH"], HOME: users.path, SHELL: "/bin/sh", TMUX_TMPDIR: users.path };
		mkdirSync(users.file(`tmux-${uid}`), { mode: 0o700 });
		const tmux = (...args: string[]) =>
			spawnSync("tmux", ["-f", "/dev/null", ...args], { env: environment, encoding: "utf8" }).stdout;
		await node.close();
		node = await TestNode.open({ userSockets: true, environment });
		try {
			const feed = await node.dial("/ws/~events");
			const heard = new Promise<void>((resolve) => feed.onMessage(() => resolve()));
			tmux("new-session", "-d", "-s", "mine.with:dots", "exec cat");
			await heard;
			await node.session("ours");
			await until(async () => (await node.call("GET", "/api/sessions/default.0")).body.command === "cat");
			const { sessions } = (await node.call("GET", "/api/sessions")).body;
			expect(sessions).toMatchObject([
				{ name: "ours", socket: "warren", own: true },
				{ id: "default.0", name: "mine_with_dots", socket: "default", own: false, command: "cat" },
			]);
			expect(tmux("show-options", "-s", "escape-time")).toBe("escape-time 500\n");
			expect(tmux("show-options", "-g", "history-limit")).toBe("history-limit 2000\n");
			expect(tmux("show-hooks", "-g", "alert-bell")).not.toContain("warren");
			const terminal = node.terminal("default.0", { mode: "follow" });
			// Their status line is a row more than the window has.
			const { height } = sessions[1];
			expect((await terminal.notice("welcome")).welcome).toMatchObject({ cols: 80, rows: height + 1 });
			terminal.type("typed\r");
			await terminal.shows("typed");
			expect((await node.call("DELETE", "/api/sessions/default.0")).status).toBe(204);
			expect((await terminal.notice("stopped")).reason).toEqual({ kind: "exit", reason: "killed" });
		} finally {
			tmux("kill-server");
		}
	});

	describe("uploads", () => {
		const upload = (id: string, name: string, bytes: Uint8Array) =>
			node.call("POST", `/api/sessions/${id}/files?name=${encodeURIComponent(name)}`, bytes);

		test("go beside the session's folder, whole, up to the limit, never over a file", async () => {
			mkdirSync(node.folder.file("sub"));
			const { body } = await node.call("POST", "/api/sessions", { name: "a", cwd: node.folder.file("sub") });
			const bytes = new Uint8Array(100_000).fill(7);
			const stored = await upload(body.id, "größe 1.bin", bytes);
			expect(stored).toMatchObject({ status: 201, body: { path: node.folder.file("sub/größe 1.bin"), size: 100_000 } });
			expect(Buffer.compare(readFileSync(stored.body.path), bytes)).toBe(0);
			writeFileSync(node.folder.file("sub/mine"), "mine");
			expect(await upload(body.id, "mine", bytes)).toMatchObject({ status: 409, body: { error: "file_exists" } });
			expect(readFileSync(node.folder.file("sub/mine"), "utf8")).toBe("mine");
			expect(readdirSync(node.folder.file("sub")).sort()).toEqual(["größe 1.bin", "mine"]);
			expect(node.audited.at(-1)).toMatchObject({ action: "session.upload", target: stored.body.path });
		});

		test("one byte more than the limit is 413, declared or not, and leaves nothing", async () => {
			const id = await node.session("a");
			expect(await upload(id, "big", new Uint8Array(100_001))).toMatchObject({
				status: 413,
				body: { error: "upload_too_large", maxBytes: 100_000 },
			});
			const status = await new Promise<number>((resolve, reject) => {
				const sending = request(`${node.origin}/api/sessions/${id}/files?name=big`, {
					method: "POST",
					headers: { authorization: "Bearer wd_me" },
				});
				sending.once("response", (response) => {
					response.resume();
					resolve(response.statusCode ?? 0);
				});
				sending.once("error", reject);
				sending.write(Buffer.alloc(60_000));
				sending.write(Buffer.alloc(60_000));
			});
			expect(status).toBe(413);
			await until(() => readdirSync(node.folder.path).every((name) => !name.includes("upload")));
			expect(existsSync(node.folder.file("big"))).toBe(false);
		});

		test.each(["../up", "a/b", "..", ".", "", "a\\b", "a\nb", "x".repeat(256)])(
			"the name %j is refused",
			async (name) => {
				const id = await node.session("a");
				expect(await upload(id, name, new Uint8Array(1))).toMatchObject({
					status: 400,
					body: { error: "bad_request" },
				});
			},
		);

		test("a sender that leaves halfway leaves nothing behind", async () => {
			const id = await node.session("a");
			const sending = request(`${node.origin}/api/sessions/${id}/files?name=half`, {
				method: "POST",
				headers: { authorization: "Bearer wd_me", "content-length": "90000" },
			});
			sending.on("error", () => {});
			sending.write(Buffer.alloc(10_000));
			await until(() => readdirSync(node.folder.path).some((name) => name.startsWith(".warren-upload-")));
			sending.destroy();
			await until(() => readdirSync(node.folder.path).every((name) => !name.startsWith(".warren-upload-")));
			expect(existsSync(node.folder.file("half"))).toBe(false);
		});

		test("a folder that cannot be written says so", async () => {
			const { body } = await node.call("POST", "/api/sessions", { name: "a", cwd: "/proc" });
			expect(await upload(body.id, "x", new Uint8Array(1))).toMatchObject({
				status: 400,
				body: { error: "bad_folder" },
			});
		});
	});

	describe("shares", () => {
		test("show one session, read-only; revoked, they close 4401 and are over", async () => {
			const id = await node.session("a");
			const other = await node.session("b");
			const made = await node.call("POST", `/api/sessions/${id}/shares`, { expiresInMs: 3_600_000 });
			expect(made.status).toBe(201);
			const { share, token, url } = made.body;
			expect(share).toMatchObject({ session: id, expiresAt: share.createdAt + 3_600_000 });
			expect(url).toBe(`${node.origin}/#share=${token}`);
			expect((await node.call("GET", "/api/shares")).body).toEqual({ shares: [share] });
			const writer = node.terminal(id);
			const reader = node.terminal(id, { token, mode: "fit", cols: 30, rows: 9 });
			expect((await reader.notice("welcome")).welcome).toMatchObject({ readOnly: true, mode: "read-only" });
			await writer.live();
			writer.type("stty size; echo shown''here\r");
			await reader.shows("shownhere");
			await writer.shows("24 80");
			const stranger = node.terminal(other, { token });
			expect((await stranger.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4403 });
			for (const path of ["/api/sessions", "/api/shares", `/api/sessions/${id}/history`]) {
				expect((await node.call("GET", path, undefined, token)).status).toBe(403);
			}
			expect((await node.call("DELETE", `/api/shares/${share.id}`)).status).toBe(204);
			expect((await reader.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4401 });
			expect((await node.call("DELETE", `/api/shares/${share.id}`)).status).toBe(404);
			await expect(node.dial(`/ws/${id}`, token)).resolves.toSatisfy(() => true);
			expect(writer.loop.state).toBe("live");
		});

		test("that run out close what they show, 4408, and nobody else's", async () => {
			await node.close();
			const clock = new MovableClock();
			node = await TestNode.open({}, clock);
			const id = await node.session("a");
			const { createdUnix } = (await node.call("GET", `/api/sessions/${id}`)).body;
			const lifetimeMs = 60_000;
			const { token } = await node.service.shares.create(id, createdUnix, lifetimeMs);
			const writer = node.terminal(id);
			const reader = node.terminal(id, { token });
			expect((await reader.notice("welcome")).welcome).toMatchObject({ readOnly: true });
			await writer.live();
			clock.move(lifetimeMs);
			expect((await reader.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4408 });
			expect((await node.call("GET", "/api/shares")).body).toEqual({ shares: [] });
			const late = node.terminal(id, { token });
			expect((await late.notice("stopped")).reason).toMatchObject({ kind: "refused", code: 4401 });
			expect(writer.loop.state).toBe("live");
		});

		test("last a minute at least and 7 days at most", async () => {
			const id = await node.session("a");
			for (const expiresInMs of [59_999, 7 * 86_400_000 + 1, 0.5, "1"]) {
				expect((await node.call("POST", `/api/sessions/${id}/shares`, { expiresInMs })).status).toBe(400);
			}
		});
	});

	test("every route has an owner and takes only members, but for a session's socket", () => {
		const routes = terminalRoutes(node.service);
		expect(routes.length).toBeGreaterThanOrEqual(20);
		for (const route of routes) {
			expect(route.owner).toBe("node");
			expect(route.credentials).toEqual(
				route.path === "/ws/:session" ? ["basic", "device", "admin", "share"] : ["basic", "device", "admin"],
			);
		}
	});
});
