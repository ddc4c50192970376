import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { commandEnvironment } from "@warren/testkit";
import type { LabHost } from "./nat-lab.ts";

const main = fileURLToPath(new URL("../../../apps/warren/src/main.js", import.meta.url));
/** The slowest of what is waited for takes a minute on a quiet machine: STUN asks again, a heartbeat tells of it, paths are sought. */
const patienceMs = 180_000;

export interface OverlayStatus {
	readonly ula: string;
	readonly coordinator: string;
	readonly connected: boolean;
	readonly relay: boolean;
	readonly nat: "easy" | "hard" | null;
	readonly updated_at: number;
	readonly data_plane: string | null;
	readonly conditions: readonly { readonly code: string; readonly title: string }[];
	readonly peers: readonly {
		readonly display_name: string;
		readonly ula: string;
		readonly path: string;
		readonly mtu: number | null;
		readonly last_handshake_at: number | null;
		readonly endpoint: { readonly address: string; readonly port: number } | null;
	}[];
}

/** A `warren` command's result. @throws Error unless it ends with 0. */
export async function warren(
	folder: string,
	args: readonly string[],
	through: readonly string[] = [],
): Promise<string> {
	const [program, ...rest] = [...through, process.execPath, main, ...args];
	const done = await run(program as string, rest, { timeoutMs: 120_000, env: environment(folder) });
	if (done.outcome !== "exited") throw new Error(done.message);
	if (done.code !== 0)
		throw new Error(`warren ${args.join(" ")} ended with ${done.code}: ${done.stdout}${done.stderr}`);
	return done.stdout;
}

/** A coordinator or joiner that runs on a host of the lab. */
export class RunningProcess implements AsyncDisposable {
	readonly ready: Record<string, unknown>;
	readonly #child: ChildProcess;
	readonly #exited: Promise<string>;
	/** Code or signal, and what it complained of last; null = it runs. */
	ended: string | null = null;

	private constructor(child: ChildProcess, exited: Promise<string>, ready: Record<string, unknown>) {
		this.#child = child;
		this.#exited = exited;
		this.ready = ready;
		void exited.then((end) => {
			this.ended = end;
		});
	}

	static async start(host: LabHost, folder: string, args: readonly string[]): Promise<RunningProcess> {
		const [program, ...rest] = [...host.through, process.execPath, main, ...args, "--log-level", "warn", "--json"];
		const child = spawn(program as string, rest, { stdio: ["ignore", "pipe", "pipe"], env: environment(folder) });
		let log = "";
		child.stderr?.setEncoding("utf8").on("data", (text: string) => {
			log = (log + text).slice(-8_000);
		});
		const exited = new Promise<string>((resolve) => {
			child.once("exit", (code, signal) => resolve(`ended (${signal ?? code}): ${log}`));
		});
		const line = await Promise.race([
			new Promise<string>((resolve) => {
				createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve);
			}),
			exited.then((end) => {
				throw new Error(`warren ${args.slice(0, 2).join(" ")} on ${host.name} ${end}`);
			}),
		]);
		return new RunningProcess(child, exited, JSON.parse(line) as Record<string, unknown>);
	}

	async end(signal: NodeJS.Signals): Promise<void> {
		if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill(signal);
		await this.#exited;
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.end("SIGTERM");
	}
}

/** A host of the lab that has joined the overlay. */
export class OverlayMachine implements AsyncDisposable {
	readonly host: LabHost;
	readonly ula: string;
	readonly data: string;
	readonly process: RunningProcess;

	private constructor(host: LabHost, data: string, process: RunningProcess) {
		this.host = host;
		this.data = data;
		this.process = process;
		this.ula = process.ready["ula"] as string;
	}

	/** @param data its own folder. @param flags `--coordinator` and certificates among them. */
	static async join(host: LabHost, data: string, flags: readonly string[]): Promise<OverlayMachine> {
		mkdirSync(data, { recursive: true });
		const args = ["overlay", "join", "--name", host.name, "--data", data, ...flags];
		return new OverlayMachine(host, data, await RunningProcess.start(host, data, args));
	}

	/** What its joiner writes of itself from now on, once it is so. */
	where(holds: (status: OverlayStatus) => boolean, since = Date.now()): Promise<OverlayStatus> {
		const file = join(this.data, "overlay", "status.json");
		return new Promise((resolve, reject) => {
			let last = "no status";
			const look = () => {
				if (!existsSync(file)) return;
				const status = JSON.parse(readFileSync(file, "utf8")) as OverlayStatus;
				const rows = status.peers.map(
					(each) => `${each.display_name} ${each.path} ${each.endpoint?.address} ${each.mtu}`,
				);
				const conditions = status.conditions.map(({ title }) => title).join(" ");
				last = `relay ${status.relay}, NAT ${status.nat}, ${status.coordinator}; ${status.data_plane}; ${conditions}; ${rows.join(", ")}`;
				if (status.updated_at < since || !holds(status)) return;
				end();
				resolve(status);
			};
			const watcher = watch(join(this.data, "overlay"), look);
			const late = setTimeout(() => {
				end();
				const running = this.process.ended === null ? "" : `; its process ${this.process.ended}`;
				reject(new Error(`${this.host.name}: not so within ${patienceMs} ms: ${last}${running}`));
			}, patienceMs);
			const end = () => {
				clearTimeout(late);
				watcher.close();
			};
			look();
		});
	}

	[Symbol.asyncDispose](): Promise<void> {
		return this.process[Symbol.asyncDispose]();
	}
}

/** @param at where the peer is sent to, when that matters. */
export function pathTo(peer: string, path: "direct" | "relay", at?: string) {
	return (status: OverlayStatus) =>
		status.peers.some(
			(each) => each.display_name === peer && each.path === path && (at === undefined || each.endpoint?.address === at),
		);
}

function environment(folder: string): Record<string, string> {
	const { NODE_OPTIONS = "" } = process.env;
	return commandEnvironment(folder, { NODE_OPTIONS, XDG_STATE_HOME: folder });
}
