import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { tempFolder } from "./temp-folder.ts";

const places = ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"];
const readyMs = 45_000;

/** Why there is no NATS server to test with, or null when there is one. */
export function noNats(): string | null {
	return binary() === null ? `no nats-server in ${places.join(", ")} (Debian's package: nats-server)` : null;
}

/** A NATS server with JetStream of one test run: on a port and in a folder of its own. */
export class TestNats implements AsyncDisposable {
	readonly #folder = tempFolder("nats");
	#child: ChildProcess | undefined;
	#port = -1;

	/** @throws Error with what it wrote when it does not come up. */
	static async start(): Promise<TestNats> {
		const server = new TestNats();
		try {
			await server.#run();
			return server;
		} catch (failure) {
			await server[Symbol.asyncDispose]();
			throw failure;
		}
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
		const child = spawn(binary() as string, [...port, "-js", "-sd", this.#folder.file("data")], {
			stdio: ["ignore", "ignore", "pipe"],
		});
		this.#child = child;
		return new Promise((resolve, reject) => {
			let log = "";
			const late = setTimeout(() => reject(new Error(`nats-server not ready after 45 s:\n${log}`)), readyMs);
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
