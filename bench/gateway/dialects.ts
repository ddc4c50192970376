import { PeerSocket, tally, WebSocketPeer } from "./peer-socket.ts";

/** `{"type":"gateway_` is 17 bytes: the next one tells incoming from receipt and the rest. */
const kindAt = 17;
const ackMs = 20;
const maxUntold = 32;
const letters = { incoming: 0x69, receipt: 0x72 } as const;

/** Our gateway and the plain relay: the original's messages. */
export class GatewayPeer extends WebSocketPeer {
	readonly #meshId: string;
	readonly #features: readonly string[];
	#ids = 0;
	#acknowledged = 0;
	#in: (() => void) | null = null;

	constructor(port: number, meshId: string, features: readonly string[]) {
		super(port, "/gateway");
		this.#meshId = meshId;
		this.#features = features;
	}

	async ready(): Promise<void> {
		await this.handshake();
		const entered = new Promise<void>((resolve) => {
			this.#in = resolve;
		});
		const features = this.#features.length === 0 ? {} : { features: this.#features };
		this.say(
			JSON.stringify({ type: "gateway_auth", meshId: this.#meshId, secret: secretOf(this.#meshId), ...features }),
		);
		await entered;
		if (!this.#features.includes("queue")) return;
		// As our own client does: soon, or when there are many.
		let timer: NodeJS.Timeout | undefined;
		const acknowledge = () => {
			clearTimeout(timer);
			timer = undefined;
			this.#acknowledged = this.received;
			if (!this.socket.destroyed) this.say(`{"type":"gateway_ack","count":${this.received}}`);
		};
		this.onProgress = () => {
			if (this.received - this.#acknowledged >= maxUntold) acknowledge();
			else if (this.received !== this.#acknowledged) timer ??= setTimeout(acknowledge, ackMs);
		};
	}

	broadcast(payload: string): void {
		this.say(`{"type":"gateway_broadcast",${this.#id()}"payload":${payload}}`);
	}

	relay(target: string, payload: string): void {
		this.say(`{"type":"gateway_relay","targetMeshId":"${target}",${this.#id()}"payload":${payload}}`);
	}

	protected text(bytes: Buffer, from: number, to: number): void {
		const kind = bytes[from + kindAt];
		if (kind === letters.incoming) {
			this.received += 1;
			tally.received += 1;
			this.onMessage?.(bytes.toString("utf8", from, to));
		} else if (kind === letters.receipt) this.receipts += 1;
		else if (this.#in !== null) {
			const text = bytes.toString("utf8", from, to);
			if (!text.startsWith('{"type":"gateway_auth_ok"')) throw new Error(`the gateway said ${text}`);
			this.#in();
			this.#in = null;
		}
	}

	#id(): string {
		return this.#features.includes("receipts") ? `"id":"m${++this.#ids}",` : "";
	}
}

export const secretOf = (meshId: string) => `wg_${Buffer.from(meshId.padEnd(32, ".")).toString("base64url")}`;

/** socket.io's own protocol (Engine.IO 4), so that its client's cost is not measured. */
export class SocketIoPeer extends WebSocketPeer {
	readonly #meshId: string;
	#in: (() => void) | null = null;

	constructor(port: number, meshId: string) {
		super(port, "/socket.io/?EIO=4&transport=websocket");
		this.#meshId = meshId;
	}

	async ready(): Promise<void> {
		await this.handshake();
		const entered = new Promise<void>((resolve) => {
			this.#in = resolve;
		});
		this.say(`40${JSON.stringify({ meshId: this.#meshId })}`);
		await entered;
	}

	broadcast(payload: string): void {
		this.say(`42["broadcast",${payload}]`);
	}

	relay(target: string, payload: string): void {
		this.say(`42["relay","${target}",${payload}]`);
	}

	protected text(bytes: Buffer, from: number, to: number): void {
		if (bytes[from] === 0x32) return this.say("3");
		if (bytes[from] !== 0x34 || bytes[from + 1] !== 0x32) return;
		if (this.#in !== null) {
			this.#in();
			this.#in = null;
			return;
		}
		this.received += 1;
		tally.received += 1;
		this.onMessage?.(bytes.toString("utf8", from, to));
	}
}

/** The NATS client protocol: a subject a mesh, and one for all. */
export class NatsPeer extends PeerSocket {
	readonly #meshId: string;
	#in: (() => void) | null = null;

	constructor(port: number, meshId: string) {
		super(port);
		this.#meshId = meshId;
	}

	async ready(): Promise<void> {
		const entered = new Promise<void>((resolve) => {
			this.#in = resolve;
		});
		this.listen();
		this.write(
			Buffer.from(
				`CONNECT {"verbose":false,"pedantic":false,"echo":false,"lang":"bench","version":"1"}\r\nSUB all 1\r\nSUB mesh.${this.#meshId} 2\r\nPING\r\n`,
			),
		);
		await entered;
	}

	broadcast(payload: string): void {
		this.write(Buffer.from(`PUB all ${Buffer.byteLength(payload)}\r\n${payload}\r\n`));
	}

	relay(target: string, payload: string): void {
		this.write(Buffer.from(`PUB mesh.${target} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`));
	}

	protected take(bytes: Buffer, at: number): number {
		const line = bytes.indexOf("\r\n", at);
		if (line === -1) return 0;
		// MSG, PING, PONG, INFO, +OK, -ERR
		if (bytes[at] === 0x4d) {
			const size = Number(bytes.toString("latin1", bytes.lastIndexOf(" ", line) + 1, line));
			const end = line + 2 + size + 2;
			if (bytes.length < end) return 0;
			this.received += 1;
			tally.received += 1;
			this.onMessage?.(bytes.toString("utf8", line + 2, end - 2));
			return end - at;
		}
		const word = bytes.toString("latin1", at, line);
		if (word === "PING") this.write(Buffer.from("PONG\r\n"));
		else if (word === "PONG") this.#in?.();
		else if (word.startsWith("-ERR")) throw new Error(`nats-server said ${word}`);
		return line + 2 - at;
	}
}
