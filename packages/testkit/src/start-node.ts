import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Agent, type RequestInit, type Response, fetch as undiciFetch } from "undici";
import { compiledCode } from "./command-environment.ts";
import { freePort } from "./free-port.ts";
import { tempFolder } from "./temp-folder.ts";

export interface StartNodeOptions {
	/** `node` unless told: `["up"]`, `["join", URL]`. */
	readonly command?: readonly string[];
	/** A free one unless told, which stays free for a restart on it. */
	readonly port?: number;
	/** 127.0.0.1 unless told. */
	readonly host?: string;
	readonly name?: string;
	readonly user?: string;
	/** Null = none in the environment: the node makes one, and a setup link with it. */
	readonly pin?: string | null;
	/** Kept after `stop`, and used again: a restart of the same installation. A fresh one unless told. */
	readonly home?: string;
	readonly args?: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
	/** What the process is run through: `["ip", "netns", "exec", NAME]`. */
	readonly through?: readonly string[];
}

/** A node as its own process, reached as another machine would reach it. */
export interface StartedNode extends AsyncDisposable {
	/** As the node prints it. */
	readonly url: string;
	/** By address, as the tests dial it. */
	readonly origin: string;
	readonly host: string;
	readonly port: number;
	readonly pid: number;
	readonly fingerprint: string;
	readonly setupUrl: string | null;
	/** The data folder. */
	readonly data: string;
	/** HOME of the process; give it to another `startNode` to restart this installation. */
	readonly home: string;
	/** PEM of its CA: what a client of it trusts, and nothing else. */
	readonly ca: string;
	readonly user: string;
	readonly pin: string;
	/** `Authorization` of its user. */
	readonly authorization: string;
	/** Asks this node as its user, trusting exactly its CA; an `authorization` header of the caller's wins, empty = none. */
	fetch(path: string, init?: RequestInit): Promise<Response>;
	/** Everything that it wrote to standard error. */
	log(): string;
	/** Resolves with the exit code when the process is gone. */
	kill(signal: NodeJS.Signals): Promise<number | null>;
	/** SIGTERM, and its exit code. Safe to call twice. */
	stop(): Promise<number | null>;
}

const main = fileURLToPath(new URL("../../../apps/warren/src/main.js", import.meta.url));
/** A watchdog, not a measure: a busy machine takes a minute to start a process. */
const readyTimeoutMs = 90_000;

/**
 * Starts `warren node`, or another command, with a data folder and a HOME of its own and waits for its one JSON line. At dispose the process,
 * its terminal server and its folder are gone.
 * @throws Error with what the process wrote when it does not come up.
 */
export async function startNode(options: StartNodeOptions = {}): Promise<StartedNode> {
	const folder = options.home === undefined ? tempFolder("node") : null;
	const home = options.home ?? (folder?.path as string);
	const data = join(home, "data");
	const host = options.host ?? "127.0.0.1";
	const user = options.user ?? "ada";
	const pin = options.pin ?? "lovelace-1815";
	mkdirSync(join(home, "tmux"), { recursive: true, mode: 0o700 });
	const command = [
		...(options.through ?? []),
		process.execPath,
		main,
		...(options.command ?? ["node"]),
		"--json",
		...["--data", data],
		...["--host", host],
		...["--port", String(options.port ?? (await freePort()))],
		...["--name", options.name ?? "burrow"],
		...(options.args ?? []),
	];
	const child = spawn(command[0] as string, command.slice(1), {
		stdio: ["ignore", "pipe", "pipe"],
		// A group of its own: SIGKILL is a power cut, which leaves none of a machine's processes.
		detached: true,
		env: {
			PATH: process.env["PATH"] ?? "",
			LANG: "C.UTF-8",
			SHELL: "/bin/sh",
			HOME: home,
			TMPDIR: process.env["TMPDIR"] ?? "/tmp",
			TMUX_TMPDIR: join(home, "tmux"),
			XDG_CACHE_HOME: compiledCode,
			XDG_STATE_HOME: join(home, "state"),
			XDG_CONFIG_HOME: join(home, "config"),
			XDG_RUNTIME_DIR: join(home, "run"),
			// Several machines on one host: what each would serve beside is asked for by the tests of it.
			WARREN_EDGE: "0",
			WARREN_OVERLAY: "0",
			...(options.pin === null ? {} : { WARREN_USER: user, WARREN_PIN: pin }),
			...options.env,
		},
	});
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		log = (log + text).slice(-200_000);
	});
	const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
	const end = (signal: NodeJS.Signals) => {
		if (child.exitCode === null && child.signalCode === null) {
			if (signal === "SIGKILL" && child.pid !== undefined) process.kill(-child.pid, signal);
			else child.kill(signal);
		}
		return exited;
	};
	try {
		const ready = JSON.parse(await firstLine(child, exited, () => log)) as Record<string, unknown>;
		const port = Number(new URL(ready["url"] as string).port);
		const ca = options.args?.includes("--http") === true ? "" : authorityOf(data);
		const origin = `${ca === "" ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
		// A connection a request: a kept one may be closed over there just when it is written to.
		const agent = new Agent({ pipelining: 0, connect: ca === "" ? {} : { ca } });
		const authorization = `Basic ${Buffer.from(`${user}:${pin}`).toString("base64")}`;
		return {
			url: ready["url"] as string,
			origin,
			host,
			port,
			pid: ready["pid"] as number,
			fingerprint: ready["fingerprint"] as string,
			setupUrl: ready["setupUrl"] as string | null,
			data,
			home,
			ca,
			user,
			pin,
			authorization,
			fetch: (path, init = {}) => {
				const headers = new Headers(init.headers as HeadersInit);
				if (!headers.has("authorization")) headers.set("authorization", authorization);
				if (headers.get("authorization") === "") headers.delete("authorization");
				return undiciFetch(`${origin}${path}`, { ...init, headers: [...headers], dispatcher: agent });
			},
			log: () => log,
			kill: end,
			stop: () => end("SIGTERM"),
			async [Symbol.asyncDispose]() {
				await agent.destroy();
				await end("SIGTERM");
				await stopTerminals(join(data, "tmux.sock"));
				folder?.[Symbol.dispose]();
			},
		};
	} catch (failure) {
		await end("SIGKILL");
		folder?.[Symbol.dispose]();
		throw failure;
	}
}

function firstLine(child: ChildProcess, exited: Promise<number | null>, log: () => string): Promise<string> {
	return new Promise((resolve, reject) => {
		const late = setTimeout(
			() => reject(new Error(`the node is not ready after ${readyTimeoutMs / 1000} s:\n${log()}`)),
			readyTimeoutMs,
		);
		const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
		lines.once("line", (line) => {
			clearTimeout(late);
			resolve(line);
		});
		void exited.then((code) => {
			clearTimeout(late);
			reject(new Error(`the node ended with ${code} before it was ready:\n${log()}`));
		});
		child.once("error", reject);
	});
}

/** A terminal server outlives its node on purpose; a test's does not outlive the test. */
function stopTerminals(socket: string): Promise<void> {
	return new Promise((resolve) => {
		const tmux = spawn("tmux", ["-S", socket, "kill-server"], { stdio: "ignore" });
		tmux.once("error", () => resolve());
		tmux.once("exit", () => resolve());
	});
}

/** The first machine of a warren has its CA; one that joined has its certificate. */
function authorityOf(data: string): string {
	const own = join(data, "ca", "ca.crt");
	if (existsSync(own)) return readFileSync(own, "utf8");
	return (JSON.parse(readFileSync(join(data, "membership.json"), "utf8")) as { ca: string }).ca;
}
