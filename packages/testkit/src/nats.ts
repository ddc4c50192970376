import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { tempFolder } from "./temp-folder.ts";

const places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
/** A watchdog, not a measure. */
const readyMs = 90_000;

/** Why there is no NATS server to test with, or null when there is one. */
export function noNats(): string | null {
	return binary() === null ? `no nats-server in ${places.join(", ")} (Debian's package: nats-server)` : null;
}

export interface TestNatsOptions {
	/** Unless told otherwise. */
	readonly jetstream?: boolean;
	readonly user?: string;
	readonly password?: string;
}

/** A NATS server with JetStream of one test run: on a port and in a folder of its own. */
export class TestNats implements AsyncDisposable {
	readonly #folder = tempFolder("nats");
	readonly #options: TestNatsOptions;
	#child: ChildProcess | undefined;
	#port = -1;

	private constructor(options: TestNatsOptions) {
		this.#options = options;
	}

	/** @throws Error with what it wrote when it does not come up. */
	static async start(options: TestNatsOptions = {}): Promise<TestNats> {
		const server = new TestNats(options);
		try {
			await server.#run();
			return server;
		} catch (failure) {
			await server[Symbol.asyncDispose]();
			throw failure;
		}
	}

	/** As the server says it. */
	static version(): string {
		const { stdout, stderr } = spawnSync(binary() ?? "", ["--version"], { encoding: "utf8" });
		return /[\d.]+/.exec(`${stdout}${stderr}`)?.[0] ?? "";
	}

	get port(): number {
		return this.#port;
	}

	get url(): string {
		return `nats://127.0.0.1:${this.#port}`;
	}

	/** kill -9; what it had acknowledged is in its folder. */
	kill(): Promise<void> {
		return this.#end("SIGKILL");
	}

	/** On the same port, with the same data. */
	async restart(): Promise<void> {
		await this.#end("SIGTERM");
		await this.#run();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.#end("SIGKILL");
		this.#folder[Symbol.dispose]();
	}

	#end(signal: NodeJS.Signals): Promise<void> {
		const child = this.#child;
		this.#child = undefined;
		if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
		return new Promise((resolve) => {
			child.once("exit", () => resolve());
			child.kill(signal);
		});
	}

	#run(): Promise<void> {
		const port = ["-a", "127.0.0.1", "-p", String(this.#port)];
		const { jetstream = true, user, password } = this.#options;
		const args = [
			...port,
			...(jetstream ? ["-js", "-sd", this.#folder.file("data")] : []),
			...(user === undefined || password === undefined ? [] : ["--user", user, "--pass", password]),
		];
		const child = spawn(binary() as string, args, {
			stdio: ["ignore", "ignore", "pipe"],
		});
		this.#child = child;
		return new Promise((resolve, reject) => {
			let log = "";
			const late = setTimeout(
				() => reject(new Error(`nats-server not ready after ${readyMs / 1000} s:\n${log}`)),
				readyMs,
			);
			createInterface({ input: child.stderr as NodeJS.ReadableStream }).on("line", (line) => {
				log = `${log}${line}\n`.slice(-20_000);
				const listening = /Listening for client connections on 127\.0\.0\.1:(\d+)/.exec(line);
				if (listening !== null) this.#port = Number(listening[1]);
				if (!line.includes("Server is ready")) return;
				clearTimeout(late);
				resolve();
			});
			child.once("exit", (code) => {
				clearTimeout(late);
				reject(new Error(`nats-server ended with ${code}:\n${log}`));
			});
			child.once("error", reject);
		});
	}
}

function binary(): string | null {
	const found = places.find((each) => existsSync(each));
	if (found !== undefined) return found;
	const which = spawnSync("which", ["nats-server"], { encoding: "utf8" });
	return which.status === 0 ? which.stdout.trim() : null;
}
