import { X509Certificate } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { compiledCode, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { cargo, DesktopWindow, desktopMissing, isGone, Screen } from "./desktop-window.ts";

/** The desktop's window as a person meets it, from a fresh build to a hub that went away. */
const missing = desktopMissing();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
const waits = { timeout: 120_000, interval: 100 };
vi.setConfig({ testTimeout: 400_000 });

let hub: StartedNode;
let screen: Screen;
let home: ReturnType<typeof tempFolder>;
let window: DesktopWindow;
let env: Record<string, string>;

const startHub = (again?: StartedNode) =>
	startNode({
		...(again === undefined ? {} : { home: again.home, port: again.port }),
		command: ["up"],
		name: "atlas",
		pin: null,
		env: { WARREN_SIDECAR_PORT: "0" },
	});
const hubUrl = () => `https://localhost:${hub.port}`;
const seen = (text: string | RegExp) => expect.poll(() => window.text().catch(String), waits).toMatch(text);
/** Its pages stand: nothing is on its way any more. */
async function atTheHub(): Promise<void> {
	await expect.poll(() => window.url().catch(String), waits).toMatch(hubUrl());
	await seen("Terminals");
}
const sidecarPid = () => Number(readFileSync(join(home.path, "window/data/lock.pid"), "utf8"));

/** A picture of the whole screen shows more than a blank window. */
async function picture(name: string): Promise<void> {
	const file = join(home.path, `${name}.png`);
	await screen.picture(file);
	const colours = await run("identify", ["-format", "%k", file], { timeoutMs: 30_000 });
	expect(Number((colours as { stdout: string }).stdout), name).toBeGreaterThan(50);
}

beforeAll(async () => {
	if (missing !== null) return;
	await cargo("build");
	hub = await startHub();
	await hub.fetch("/auth/signup", {
		method: "POST",
		headers: {
			authorization: "",
			"content-type": "application/json",
			"x-warren-setup": (hub.setupUrl as string).split("#setup=")[1] as string,
		},
		body: JSON.stringify(person),
	});
	screen = await Screen.open();
	home = tempFolder("desktop");
	mkdirSync(join(home.path, "bin"));
	program("warren", `exec ${process.execPath} ${main} "$@"`);
	program("xdg-open", `echo "$1" >> ${join(home.path, "opened")}`);
	env = {
		PATH: `${join(home.path, "bin")}:${process.env["PATH"]}`,
		HOME: home.path,
		LANG: "C.UTF-8",
		DISPLAY: screen.display,
		XDG_CACHE_HOME: compiledCode,
		XDG_RUNTIME_DIR: home.path,
		WARREN_SIDECAR_PORT: "0",
		WARREN_DESKTOP_DATA: join(home.path, "window"),
	};
	window = await DesktopWindow.open(env);
}, 25 * 60_000);
afterAll(async () => {
	await window?.close();
	await screen?.close();
	await hub?.[Symbol.asyncDispose]();
	home?.[Symbol.dispose]();
});

function program(name: string, line: string): void {
	const file = join(home.path, "bin", name);
	writeFileSync(file, `#!/bin/sh\n${line}\n`);
	chmodSync(file, 0o755);
}

describe("the desktop's window", () => {
	it("passes the tests and the lints of its own parts", { timeout: 20 * 60_000 }, async (context) => {
		context.skip(missing !== null, missing ?? "");
		expect(await cargo("test")).toMatch(/test result: ok\. [5-9]\d* passed/);
		await cargo("clippy", "--all-targets", "--", "--deny", "warnings");
	});

	it("asks for the hub, and believes none whose certificate nothing vouches for", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await seen("Which hub are your machines at?");
		await window.type("#hub", hubUrl());
		await window.click("#choose button");
		await seen(/Nothing here vouches for the certificate of https:\/\/localhost:\d+\. Compare the CA SHA-256/);
	});

	it("signs in by a code, which is approved in the window itself", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await window.type("#fingerprint", new X509Certificate(hub.ca).fingerprint256);
		await window.click("#choose button");
		await seen(/or sign in here\.\s+[A-Z0-9]{8}/);
		await window.click("#here");
		await seen("Sign in first, to say that it is you.");
		await window.type("[name=email]", person.email);
		await window.type("[name=password]", person.password);
		await window.click("[type=submit]");
		await seen("A command line asks to sign in");
		await window.click("//button[text()='Let it in' and not(@disabled)]");
		const login = join(home.path, "window/data/login.json");
		await expect.poll(() => existsSync(login), waits).toBe(true);
		await seen("Terminals");
		expect(JSON.parse(readFileSync(login, "utf8"))).toMatchObject({ hubUrl: hubUrl(), email: person.email });
		const settings = join(home.path, "window/data/desktop.json");
		expect(JSON.parse(readFileSync(settings, "utf8"))).toMatchObject({ hub: hubUrl() });
		for (const [file, mode] of [
			[login, 0o600],
			[settings, 0o600],
			[join(home.path, "window"), 0o700],
		] as const)
			expect((statSync(file).mode & 0o777).toString(8), file).toBe(mode.toString(8));
	});

	it("shows the hub's pages, signed in, and gives them nothing of its own", async (context) => {
		context.skip(missing !== null, missing ?? "");
		expect(await window.run<string>("return JSON.parse(localStorage.getItem('warren.account.v1')).email")).toBe(
			person.email,
		);
		for (const command of ["session", "sign_out", "watch"])
			expect(
				await window.run<string>(`return window.__TAURI_INTERNALS__.invoke('${command}').then(() => 'given', String)`),
			).toMatch(/not allowed/);
	});

	it("shows nobody else's: they open in the browser", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await window.run("setTimeout(() => { location.href = 'https://elsewhere.test/page'; })");
		await expect
			.poll(() => existsSync(join(home.path, "opened")) && readFileSync(join(home.path, "opened"), "utf8"), waits)
			.toBe("https://elsewhere.test/page\n");
		expect(await window.url()).toMatch(hubUrl());
	});

	it("passes the sidecar's origin boundary, where a website does not", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await window.visit("tauri://localhost/index.html");
		await seen(/runs at http:\/\/127\.0\.0\.1:\d+\.\s+It keeps no workspaces/);
		const [url, token] = await window.run<[string, string]>("return window.__TAURI__.core.invoke('session')");
		const from = (origin: string, init: RequestInit = {}) =>
			fetch(`${url}/workspaces`, { ...init, headers: { authorization: `Bearer ${token}`, origin, ...init.headers } });
		for (const origin of ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost", hubUrl()]) {
			const answer = await from(origin);
			expect([answer.status, answer.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
		}
		const made = { method: "POST", body: '{"name":"Library"}', headers: { "content-type": "application/json" } };
		for (const origin of ["https://evil.example", "tauri://evil", "http://localhost:3000", "null"]) {
			const answer = await from(origin, made);
			expect([answer.status, answer.headers.get("access-control-allow-origin")], origin).toEqual([403, null]);
		}
		expect((await from("tauri://localhost", made)).status).toBe(201);
		await window.visit("tauri://localhost/index.html");
		await seen("It keeps the workspaces Library.");
		await picture("sidecar");
	});

	it("starts a sidecar again that ended", async (context) => {
		context.skip(missing !== null, missing ?? "");
		const first = sidecarPid();
		process.kill(first, "SIGKILL");
		await seen(/The sidecar ended .* starts again in 1 s/);
		await expect.poll(sidecarPid, waits).not.toBe(first);
		await seen("It keeps the workspaces Library.");
	});

	it("says that the hub is away, and shows its pages again once it is back", async (context) => {
		context.skip(missing !== null, missing ?? "");
		await hub.kill("SIGKILL");
		await window.click("#signedIn .enter");
		await seen("This page cannot reach the machine that served it.");
		await window.close();
		window = await DesktopWindow.open(env);
		await seen(/does not answer\. It is asked again in \d+ s/);
		await seen("It keeps the workspaces Library.");
		hub = await startHub(hub);
		await window.click("#away .enter").catch(() => null);
		await atTheHub();
		await picture("hub");
	});

	it("ends its sidecar with itself, and remembers hub and session", async (context) => {
		context.skip(missing !== null, missing ?? "");
		const before = sidecarPid();
		await window.close();
		await expect.poll(() => isGone(before), waits).toBe(true);
		window = await DesktopWindow.open(env);
		await atTheHub();
		await expect.poll(sidecarPid, waits).not.toBe(before);
	});

	it("leaves no sidecar behind when it is killed", async (context) => {
		context.skip(missing !== null, missing ?? "");
		const sidecar = sidecarPid();
		process.kill(window.pid, "SIGKILL");
		await expect.poll(() => isGone(sidecar), waits).toBe(true);
		await window.close();
		window = await DesktopWindow.open(env);
		await atTheHub();
	});

	it("signs out: the session ends at the hub, its files and the hub's storage are gone", async (context) => {
		context.skip(missing !== null, missing ?? "");
		const login = join(home.path, "window/data/login.json");
		const { token } = JSON.parse(readFileSync(login, "utf8")) as { token: string };
		const asked = () => hub.fetch("/auth/session", { headers: { authorization: `Bearer ${token}` } });
		expect((await asked()).status).toBe(200);
		await window.visit("tauri://localhost/index.html");
		await window.click("#signedIn .leave");
		await seen("Which hub are your machines at?");
		expect([existsSync(login), (await asked()).status]).toEqual([false, 401]);
		await picture("signed-out");
	});
});
