import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandEnvironment, tempFolder } from "@warren/testkit";

const main = fileURLToPath(new URL("../main.js", import.meta.url));
const adminToken = "an-administrator-of-tests";

/** A backbone and agents of one service, `web`, each a process of its own, as they are started by hand. */
export class TunnelProcesses implements AsyncDisposable {
	readonly #folder = tempFolder("tunnel");
	readonly #started: ChildProcess[] = [];
	/** Where clients come in. */
	port = 0;
	/** The server's, then the agents'. */
	readonly pids: number[] = [];

	/** @param target the service's port on this machine. */
	static async open(transport: string, target: number, agents = 1): Promise<TunnelProcesses> {
		const tunnel = new TunnelProcesses();
		try {
			await tunnel.#open(transport, target, agents);
		} catch (fault) {
			await tunnel[Symbol.asyncDispose]();
			throw fault;
		}
		return tunnel;
	}

	async #open(transport: string, target: number, agents: number): Promise<void> {
		const flags = ["--http", "--port", "0", "--data", this.#folder.file("data"), "--stream-ports", "0-0"];
		const server = await this.#start(["backbone", ...flags], { BACKBONE_ADMIN_TOKEN: adminToken });
		this.port = server["port"] as number;
		this.pids.push(server["pid"] as number);
		const url = `http://127.0.0.1:${this.port}`;
		const made = await fetch(`${url}/admin/api/tokens`, {
			method: "POST",
			headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
			body: JSON.stringify({ service_name: "web" }),
		});
		const { token } = (await made.json()) as { token: string };
		const to = ["--backbone", url, "--service", "web", "--target", `127.0.0.1:${target}`, "--transport", transport];
		const starting = Array.from({ length: agents }, () =>
			this.#start(["agent", ...to], { BACKBONE_SERVICE_TOKEN: token }),
		);
		for (const agent of await Promise.all(starting)) this.pids.push(agent["pid"] as number);
	}

	/** The most memory that each of them ever had resident, KiB. */
	get peaksKiB(): number[] {
		return this.pids.map((pid) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]));
	}

	/** Starts a command and gives its one JSON line. */
	async #start(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
		const child = spawn(process.execPath, [main, ...args, "--json"], {
			stdio: ["ignore", "pipe", "inherit"],
			env: commandEnvironment(this.#folder.path, { WARREN_LOG_LEVEL: "error", ...env }),
		});
		this.#started.push(child);
		const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
		return JSON.parse(line) as Record<string, unknown>;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const each of this.#started) {
			const gone = once(each, "exit");
			if (each.kill("SIGKILL")) await gone;
		}
		this.#folder[Symbol.dispose]();
	}
}
