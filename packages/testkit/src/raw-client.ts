import { connect as netConnect, type Socket } from "node:net";
import { connect as tlsConnect } from "node:tls";

export interface RawClientOptions {
	readonly host?: string;
	readonly port: number;
	/** PEM of the authority to trust; plain TCP without it. */
	readonly ca?: string;
}

/** A bare connection, for what no HTTP client would send. */
export class RawClient implements Disposable {
	readonly socket: Socket;
	#seen = "";
	#ended = false;
	readonly #watchers = new Set<() => void>();

	private constructor(socket: Socket) {
		this.socket = socket;
		socket.on("data", (chunk: Buffer) => {
			this.#seen += chunk.toString("latin1");
			this.#changed();
		});
		socket.on("error", () => {});
		socket.once("end", () => this.#end());
		socket.once("close", () => this.#end());
	}

	static async open({ host = "127.0.0.1", port, ca }: RawClientOptions): Promise<RawClient> {
		const socket = ca === undefined ? netConnect(port, host) : tlsConnect({ host, port, ca });
		await new Promise<void>((resolve, reject) => {
			socket.once(ca === undefined ? "connect" : "secureConnect", resolve);
			socket.once("error", reject);
		});
		return new RawClient(socket);
	}

	/** Opens, sends, and gives what came until the other side closed. */
	static async exchange(options: RawClientOptions, text: string): Promise<string> {
		using client = await RawClient.open(options);
		client.send(text);
		return await client.closed();
	}

	send(bytes: string | Uint8Array): void {
		this.socket.write(bytes);
	}

	get seen(): string {
		return this.#seen;
	}

	/** Resolves with all that came once it matches. @throws Error when the connection ends before. */
	until(pattern: RegExp): Promise<string> {
		return new Promise((resolve, reject) => {
			const look = () => {
				if (!pattern.test(this.#seen) && !this.#ended) return;
				this.#watchers.delete(look);
				if (pattern.test(this.#seen)) resolve(this.#seen);
				else reject(new Error(`the connection ended without ${pattern}: ${this.#seen.slice(0, 500)}`));
			};
			this.#watchers.add(look);
			look();
		});
	}

	/** Resolves with all that came when the other side has closed or cut. */
	closed(): Promise<string> {
		return new Promise((resolve) => {
			const look = () => {
				if (this.#ended) resolve(this.#seen);
			};
			this.#watchers.add(look);
			look();
		});
	}

	[Symbol.dispose](): void {
		this.socket.destroy();
	}

	#end(): void {
		this.#ended = true;
		this.#changed();
	}

	#changed(): void {
		for (const watcher of [...this.#watchers]) watcher();
	}
}
