import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Agent, fetch } from "undici";
import { type ClientTarget, prompt } from "./tasks.ts";

const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
const credentials = { user: "bench", pin: "bench-4711" };
const authorization = `Basic ${Buffer.from(`${credentials.user}:${credentials.pin}`).toString("base64")}`;

/** A `warren node` of the bench's own, with its own data and tmux server. */
export class BenchNode {
	readonly url: string;
	readonly data: string;
	readonly #child: ChildProcess;
	readonly #agent = new Agent({ connect: { rejectUnauthorized: false } });

	private constructor(child: ChildProcess, url: string, data: string) {
		this.#child = child;
		this.url = url;
		this.data = data;
	}

	static async open(name: string): Promise<BenchNode> {
		const data = mkdtempSync(join(tmpdir(), `warren-bench-${name}-`));
		const args = [main, "node", "--data", data, "--port", "0", "--host", "127.0.0.1", "--name", name, "--json"];
		const child = spawn(process.execPath, [...args, "--log-level", "error"], {
			env: { ...process.env, WARREN_USER: credentials.user, WARREN_PIN: credentials.pin },
			stdio: ["ignore", "pipe", "inherit"],
		});
		const ready = await new Promise<{ url: string }>((resolve, reject) => {
			let text = "";
			child.stdout?.on("data", (chunk: Buffer) => {
				text += chunk.toString();
				const line = text.split("\n").find((each) => each.includes('"url"'));
				if (line !== undefined) resolve(JSON.parse(line));
			});
			child.once("exit", (code) => reject(new Error(`the node ${name} ended with ${code}`)));
		});
		return new BenchNode(child, ready.url, data);
	}

	get port(): number {
		return Number(new URL(this.url).port);
	}

	get socketPath(): string {
		return join(this.data, "tmux.sock");
	}

	/** Resident memory, bytes. Linux only. */
	get memoryBytes(): number {
		return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.#child.pid}/status`, "utf8"))?.[1]) * 1024;
	}

	async call(method: string, path: string, body?: object): Promise<any> {
		const response = await fetch(`https://127.0.0.1:${this.port}${path}`, {
			method,
			dispatcher: this.#agent,
			headers: { authorization, ...(body === undefined ? {} : { "content-type": "application/json" }) },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
		const text = await response.text();
		if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
		return text === "" ? null : JSON.parse(text);
	}

	/** A session whose shell asks with the bench's prompt. @returns its id. */
	async session(name: string): Promise<string> {
		return (await this.call("POST", "/api/sessions", { name, command: `exec env PS1='${prompt}' ENV= sh` })).id;
	}

	/** @param through the node that relays; none = straight to this one. */
	async target(session: string, through?: BenchNode): Promise<ClientTarget> {
		if (through === undefined) {
			return { kind: "warren", url: `wss://127.0.0.1:${this.port}/ws/${session}`, headers: { authorization } };
		}
		const { peers } = await through.call("GET", "/api/peers");
		const known = peers.find((each: { port: number }) => each.port === this.port);
		const peer = known ?? (await through.call("POST", "/api/peers", { host: "127.0.0.1", port: this.port }));
		return {
			kind: "warren",
			url: `wss://127.0.0.1:${through.port}/r/${peer.id}/ws/${session}`,
			headers: { authorization, "x-mobux-upstream-authorization": authorization },
		};
	}

	/** The session's screen, as tmux itself has it. */
	capture(session: string): string[] {
		const target = `$${session.split(".")[1]}:`;
		const text = execFileSync("tmux", ["-S", this.socketPath, "capture-pane", "-p", "-t", target], {
			encoding: "utf8",
		});
		return text.replace(/\n$/, "").split("\n");
	}

	async close(): Promise<void> {
		await ended(this.#child);
		await this.#agent.close();
		if (existsSync(this.socketPath)) execFileSync("tmux", ["-S", this.socketPath, "kill-server"]);
		rmSync(this.data, { recursive: true, force: true });
	}
}

const wettyVersion = "3.2.0";
const socketIoVersion = "4.8.1";

/** wetty from npm, in front of the same tmux server: what differs is the way between it and the screen. */
export class BenchWetty {
	readonly version = wettyVersion;
	readonly #child: ChildProcess;
	readonly #folder: string;
	readonly #port: number;

	private constructor(child: ChildProcess, folder: string, port: number) {
		this.#child = child;
		this.#folder = folder;
		this.#port = port;
	}

	/** Why it cannot be measured here; null when it can. */
	static get obstacle(): string | null {
		return process.getuid?.() === 0 ? null : "wetty runs a command of its own only as root, else it asks ssh";
	}

	/** Installs into a folder that is gone afterwards. */
	static async open(socketPath: string, session: string): Promise<BenchWetty> {
		const folder = mkdtempSync(join(tmpdir(), "warren-bench-wetty-"));
		writeFileSync(join(folder, "package.json"), '{"private":true}');
		const packages = [`wetty@${wettyVersion}`, `socket.io-client@${socketIoVersion}`];
		execFileSync("npm", ["install", "-E", "--no-audit", "--no-fund", ...packages], {
			cwd: folder,
			stdio: ["ignore", "ignore", "inherit"],
		});
		const attach = join(folder, "attach");
		const target = `$${session.split(".")[1]}`;
		writeFileSync(attach, `#!/bin/sh\nexec tmux -u -S ${socketPath} attach-session -t '${target}'\n`);
		chmodSync(attach, 0o755);
		const port = await freePort();
		const program = join(folder, "node_modules/wetty/build/main.js");
		const args = [program, "--host", "127.0.0.1", "--port", String(port), "--base", "/", "--command", attach];
		const child = spawn(process.execPath, [...args, "--log-level", "error"], {
			stdio: ["ignore", "ignore", "inherit"],
		});
		const wetty = new BenchWetty(child, folder, port);
		await wetty.#answering();
		return wetty;
	}

	get target(): ClientTarget {
		const clientModule = join(this.#folder, "node_modules/socket.io-client");
		return { kind: "wetty", url: `http://127.0.0.1:${this.#port}`, clientModule };
	}

	async close(): Promise<void> {
		await ended(this.#child);
		rmSync(this.#folder, { recursive: true, force: true });
	}

	async #answering(): Promise<void> {
		for (let tries = 0; tries < 200; tries += 1) {
			try {
				await (await fetch(`http://127.0.0.1:${this.#port}/`)).text();
				return;
			} catch {
				await new Promise((resolve) => setTimeout(resolve, 50));
			}
		}
		throw new Error("wetty does not answer after 10 s");
	}
}

async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	const exit = new Promise<void>((resolve) => child.once("exit", () => resolve()));
	child.kill("SIGTERM");
	await exit;
}

function freePort(): Promise<number> {
	return new Promise((resolve) => {
		const server = createServer();
		server.listen(0, "127.0.0.1", () => {
			const { port } = server.address() as { port: number };
			server.close(() => resolve(port));
		});
	});
}
