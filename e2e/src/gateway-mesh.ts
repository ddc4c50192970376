import { WebSocket } from "ws";

/** A mesh at one gateway: sends, and keeps what it gets. It acknowledges nothing. */
export class GatewayMesh implements Disposable {
	/** Ids, in order. */
	readonly got: string[] = [];
	readonly #socket: WebSocket;
	readonly #receipts = new Map<string, (outcome: string) => void>();
	readonly #watchers = new Set<() => void>();

	/** Resolves with the end of its socket. */
	readonly ended: Promise<number>;

	private constructor(socket: WebSocket) {
		this.#socket = socket;
		this.ended = new Promise((resolve) => socket.once("close", resolve));
	}

	/** Resolves once it is signed in. @throws Error when it is refused. */
	static async meet(port: number, meshId: string, secret: string): Promise<GatewayMesh> {
		const socket = new WebSocket(`ws://127.0.0.1:${port}/gateway`, { handshakeTimeout: 60_000 });
		const mesh = new GatewayMesh(socket);
		socket.on("open", () =>
			socket.send(JSON.stringify({ type: "gateway_auth", meshId, secret, features: ["receipts", "queue"] })),
		);
		await new Promise<void>((resolve, reject) => {
			socket.on("error", reject);
			socket.on("close", (code) => reject(new Error(`closed ${code}`)));
			socket.on("message", (data) => mesh.#receive(String(data), resolve));
		});
		return mesh;
	}

	relay(id: string, targetMeshId: string): Promise<string> {
		const outcome = new Promise<string>((resolve) => this.#receipts.set(id, resolve));
		this.#socket.send(JSON.stringify({ type: "gateway_relay", id, targetMeshId, payload: { id } }));
		return outcome;
	}

	until(holds: () => boolean): Promise<void> {
		return new Promise((resolve) => {
			const look = () => {
				if (holds()) resolve();
			};
			this.#watchers.add(look);
			look();
		});
	}

	/** Resolves once the gateway has said goodbye. */
	async leave(): Promise<void> {
		this.#socket.close();
		await this.ended;
	}

	[Symbol.dispose](): void {
		this.#socket.terminate();
	}

	#receive(text: string, signedIn: () => void): void {
		const message = JSON.parse(text) as { type: string; id: string; outcome: string };
		if (message.type === "gateway_auth_ok") signedIn();
		if (message.type === "gateway_receipt") this.#receipts.get(message.id)?.(message.outcome);
		if (message.type !== "gateway_incoming") return;
		this.got.push(message.id);
		for (const watcher of this.#watchers) watcher();
	}
}
