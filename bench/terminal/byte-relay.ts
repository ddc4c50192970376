import { type ChildProcess, fork } from "node:child_process";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import type { ClientTarget } from "./tasks.ts";

// As a child: copies bytes to the port that it was given, and says on which one it listens.
if (process.argv[2] === "--to") {
	const port = Number(process.argv[3]);
	const server = createServer({ noDelay: true }, (near) => {
		const far = connect({ host: "127.0.0.1", port, noDelay: true });
		near.pipe(far).pipe(near);
		near.on("error", () => far.destroy());
		far.on("error", () => near.destroy());
	});
	server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
	process.on("disconnect", () => process.exit(0));
}

/**
 * A second hop: a process that copies bytes in front of the relaying node, as a tunnel or an `ssh -L` does. A node's own
 * relay is never nested in another's.
 */
export class ByteRelay {
	readonly #child: ChildProcess;
	readonly #port: number;

	private constructor(child: ChildProcess, port: number) {
		this.#child = child;
		this.#port = port;
	}

	static async open(port: number): Promise<ByteRelay> {
		const child = fork(import.meta.filename, ["--to", String(port)]);
		return new ByteRelay(
			child,
			await new Promise<number>((resolve) => child.once("message", (own) => resolve(own as number))),
		);
	}

	/** The same target by way of this relay. */
	before(target: ClientTarget): ClientTarget {
		const url = new URL(target.url);
		url.port = String(this.#port);
		return { ...target, url: url.href };
	}

	async close(): Promise<void> {
		const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
		this.#child.disconnect();
		await ended;
	}
}
