import { systemClock } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection } from "@warren/net";

/** A client of a real gateway, for tests: what it says is what the test says. */
export class TestMesh {
	readonly messages: Record<string, any>[] = [];
	readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
	readonly #connection: WebSocketConnection;
	readonly #watchers = new Set<() => void>();
	#over = false;
	/** Hears of each message as it comes. */
	onMessage: (message: Record<string, any>) => void = () => {};

	private constructor(connection: WebSocketConnection) {
		this.#connection = connection;
		connection.onMessage((data) => {
			const message = JSON.parse(data.toString("utf8")) as Record<string, unknown>;
			this.messages.push(message);
			this.onMessage(message);
			for (const watcher of [...this.#watchers]) watcher();
		});
		this.closed = new Promise((resolve) =>
			connection.onClose((code, reason) => {
				this.#over = true;
				for (const watcher of [...this.#watchers]) watcher();
				resolve({ code, reason });
			}),
		);
	}

	/** @param url http(s), as the gateway prints it. @throws Error when it does not answer. */
	static async dial(url: string): Promise<TestMesh> {
		const dialled = await dialWebSocket(`${url.replace(/^http/, "ws")}/gateway`, systemClock, { protocols: [] });
		if (!dialled.ok) throw new Error(dialled.message);
		return new TestMesh(dialled.connection);
	}

	/** Registers and signs in. */
	static async in(url: string, meshId: string, more: object = {}): Promise<TestMesh> {
		const secret = secretOf(meshId);
		await register(url, { meshId, secret, name: meshId });
		const mesh = await TestMesh.dial(url);
		mesh.say({ type: "gateway_auth", meshId, secret, ...more });
		await mesh.next("gateway_auth_ok");
		return mesh;
	}

	say(message: object | string): void {
		this.#connection.send(typeof message === "string" ? message : JSON.stringify(message));
	}

	of(type: string): Record<string, any>[] {
		return this.messages.filter((message) => message["type"] === type);
	}

	/** @throws Error when the connection ends before. */
	async until(condition: () => boolean): Promise<void> {
		await new Promise<void>((resolve, reject) => {
			const look = () => {
				if (!condition() && !this.#over) return;
				this.#watchers.delete(look);
				if (condition()) resolve();
				else reject(new Error(`the connection ended: ${JSON.stringify(this.messages.at(-1))}`));
			};
			this.#watchers.add(look);
			look();
		});
	}

	async next(type: string, count = 1): Promise<Record<string, any>> {
		await this.until(() => this.of(type).length >= count);
		return this.of(type)[count - 1] as Record<string, any>;
	}

	async close(): Promise<void> {
		await this.#connection.close();
	}

	cut(): void {
		this.#connection.terminate();
	}
}

/** As `warren` makes them: no slow hash. */
export const secretOf = (meshId: string) => `wg_${Buffer.from(meshId.padEnd(32, ".")).toString("base64url")}`;

export function register(url: string, body: object | string): Promise<Response> {
	return fetch(`${url}/register`, {
		method: "POST",
		headers: { "content-type": "application/json" },
		body: typeof body === "string" ? body : JSON.stringify(body),
	});
}
