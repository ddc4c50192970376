import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { freePort } from "@warren/testkit";
import { vi } from "vitest";

/** The desktop's window, built and driven as a person uses it: a screen of its own (Xvfb), WebKit's own WebDriver. */

const crate = fileURLToPath(new URL("../../apps/desktop", import.meta.url));
/** Outside the repository, and kept: what others wrote takes minutes to compile. */
const targetFolder = join(tmpdir(), "warren-desktop-target");
const buildMs = 20 * 60_000;
const driverReadyMs = 30_000;
/** Until an element stands that is clicked or typed into. */
const appearMs = 45_000;
/** WebDriver's name of an element in JSON. */
const elementKey = "element-6066-11e4-a52e-4f735466cecf";

/** Why the window cannot be built and seen here, or null. */
export function desktopMissing(): string | null {
	if (process.platform !== "linux") return "WebKit's WebDriver and Xvfb are Linux's";
	for (const [program, from] of [
		["cargo", "rustup"],
		["Xvfb", "xvfb"],
		["import", "imagemagick"],
		["WebKitWebDriver", "webkit2gtk-driver"],
		["xdotool", "xdotool"],
	] as const)
		if (!onPath(program)) return `no ${program} here: install ${from}`;
	const libraries = spawnSync("pkg-config", ["--exists", "webkit2gtk-4.1"], { stdio: "ignore" });
	if (libraries.status !== 0) return "no WebKitGTK to build with: install libwebkit2gtk-4.1-dev";
	return process.env["WARREN_LONG_TESTS"] === "1" ? null : "it compiles for minutes: WARREN_LONG_TESTS=1 runs it";
}

function onPath(program: string): boolean {
	return (process.env["PATH"] ?? "").split(delimiter).some((folder) => existsSync(join(folder, program)));
}

/** @param command `build`, `test`, … @returns what cargo said. @throws Error with it when it fails. */
export async function cargo(command: string, ...words: readonly string[]): Promise<string> {
	const manifest = join(crate, "Cargo.toml");
	const told = ["nice", "cargo", command, "--locked", "--jobs", "2", "--manifest-path", manifest, ...words];
	const env = { ...(process.env as Record<string, string>), CARGO_TARGET_DIR: targetFolder };
	const done = await run(told[0] as string, told.slice(1), { timeoutMs: buildMs, env });
	const said = "stdout" in done ? `${done.stdout}${done.stderr}` : JSON.stringify(done);
	if (done.outcome !== "exited" || done.code !== 0) throw new Error(`cargo ${command}: ${said.slice(-4_000)}`);
	return said;
}

const windowProgram = join(targetFolder, "debug", "warren-desktop");

/** A screen that nobody looks at. */
export class Screen {
	readonly display: string;
	readonly #process: ChildProcess;

	private constructor(display: string, process: ChildProcess) {
		this.display = display;
		this.#process = process;
	}

	static async open(): Promise<Screen> {
		const child = spawn("Xvfb", ["-displayfd", "3", "-screen", "0", "1280x900x24", "-nolisten", "tcp"], {
			stdio: ["ignore", "ignore", "ignore", "pipe"],
		});
		const [line] = await once(createInterface({ input: child.stdio[3] as NodeJS.ReadableStream }), "line");
		return new Screen(`:${line}`, child);
	}

	/** What it shows, as one PNG. */
	async picture(file: string): Promise<void> {
		const done = await run("import", ["-display", this.display, "-window", "root", file], { timeoutMs: 60_000 });
		if (done.outcome !== "exited" || done.code !== 0) throw new Error(`no picture: ${JSON.stringify(done)}`);
	}

	async close(): Promise<void> {
		if (this.#process.exitCode === null && this.#process.kill()) await once(this.#process, "exit");
	}
}

/** One started window. */
export class DesktopWindow {
	readonly #driver: ChildProcess;
	readonly #session: string;
	readonly #display: string;
	/** Of its process. */
	readonly pid: number;

	private constructor(driver: ChildProcess, session: string, display: string) {
		this.#driver = driver;
		this.#session = session;
		this.#display = display;
		this.pid = Number(readFileSync(`/proc/${driver.pid}/task/${driver.pid}/children`, "utf8").trim().split(" ")[0]);
	}

	static async open(env: Readonly<Record<string, string>>): Promise<DesktopWindow> {
		const port = await freePort();
		const driver = spawn("WebKitWebDriver", [`--port=${port}`, "--host=127.0.0.1"], {
			stdio: ["ignore", "ignore", "inherit"],
			env: { ...env, TAURI_WEBVIEW_AUTOMATION: "true" },
		});
		const base = `http://127.0.0.1:${port}`;
		await answering(`${base}/status`, driver);
		const options = { binary: windowProgram, args: [] };
		const timeouts = { implicit: appearMs };
		const capabilities = { alwaysMatch: { "webkitgtk:browserOptions": options, timeouts } };
		const { sessionId } = (await ask(`${base}/session`, "POST", { capabilities })) as { sessionId: string };
		return new DesktopWindow(driver, `${base}/session/${sessionId}`, env["DISPLAY"] as string);
	}

	url(): Promise<string> {
		return ask(`${this.#session}/url`, "GET") as Promise<string>;
	}

	async visit(url: string): Promise<void> {
		await ask(`${this.#session}/url`, "POST", { url });
	}

	/** Runs the body of a function in the page that is shown; it may return a promise. */
	run<T>(body: string, ...args: readonly unknown[]): Promise<T> {
		return ask(`${this.#session}/execute/sync`, "POST", { script: body, args }) as Promise<T>;
	}

	/** Text that a person sees. */
	text(): Promise<string> {
		return this.run<string>("return document.body.innerText");
	}

	async click(selector: string): Promise<void> {
		await ask(`${this.#session}/element/${await this.#find(selector)}/click`, "POST", {});
	}

	async type(selector: string, text: string): Promise<void> {
		const element = await this.#find(selector);
		await ask(`${this.#session}/element/${element}/clear`, "POST", {});
		await ask(`${this.#session}/element/${element}/value`, "POST", { text });
	}

	async #find(selector: string): Promise<string> {
		const using = selector.startsWith("//") ? "xpath" : "css selector";
		const found = await ask(`${this.#session}/element`, "POST", { using, value: selector });
		return (found as Record<string, string>)[elementKey] as string;
	}

	/** By its menu's last line, as a person quits it; the driver ends a window only at times. */
	async close(): Promise<void> {
		const keys = ["mousemove", "25", "12", "click", "1", "sleep", "0.3", "key", "Up", "sleep", "0.1", "key", "Return"];
		const env = { PATH: process.env["PATH"] ?? "", DISPLAY: this.#display };
		const quit = async () => isGone(this.pid) || (await run("xdotool", keys, { timeoutMs: 30_000, env }), false);
		await vi.waitUntil(quit, { timeout: 60_000, interval: 2_000 });
		await ask(this.#session, "DELETE").catch(() => null);
		if (this.#driver.exitCode === null && this.#driver.kill()) await once(this.#driver, "exit");
	}
}

/** A child that nobody has buried yet has ended all the same. */
export function isGone(pid: number): boolean {
	try {
		return readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.startsWith("Z") === true;
	} catch {
		return true;
	}
}

async function ask(url: string, method: string, body?: unknown): Promise<unknown> {
	const answer = await fetch(url, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
	const { value } = (await answer.json()) as { value: unknown };
	if (!answer.ok) throw new Error(`${method} ${new URL(url).pathname}: ${JSON.stringify(value)}`);
	return value;
}

/** It says nothing when it is ready: its port is asked until it is. */
async function answering(url: string, driver: ChildProcess): Promise<void> {
	const until = Date.now() + driverReadyMs;
	for (;;) {
		try {
			return void (await ask(url, "GET"));
		} catch (cause) {
			if (Date.now() > until || driver.exitCode !== null) throw new Error("WebKitWebDriver does not answer", { cause });
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}
}
