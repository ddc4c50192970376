import { Backoff, type Clock, type Closeable, isPermanentClose, type Random, type Timer } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection, webSocketProtocol } from "@warren/net";
import {
	type Advertised,
	type DeviceState,
	discoveryRoomId,
	readDeviceState,
	saysDocumentsChanged,
} from "../discovery/device-state.ts";
import { AwarenessClient, decodeFrame, encodeStep1, readAwareness, syncLimits } from "../protocol/index.ts";
import { type HubEndpoint, linkLimits } from "./hub-endpoint.ts";

export interface DiscoveryAdvertDeps {
	readonly clock: Clock;
	readonly random: Random;
	/** Others than this one came or went. */
	readonly onDevices?: (devices: readonly DeviceState[]) => void;
	/** The person's list of documents at the hub changed. */
	readonly onDocuments?: () => void;
}

const renewMs = syncLimits.awarenessTimeoutMs / 2;

/** Shows this machine in its user's discovery room at the hub, and hears who else is there. Comes back by itself. */
export class DiscoveryAdvert implements Closeable {
	readonly #deps: DiscoveryAdvertDeps;
	readonly #hub: HubEndpoint;
	readonly #onDevices: NonNullable<DiscoveryAdvertDeps["onDevices"]>;
	readonly #backoff: Backoff;
	readonly #client: AwarenessClient;
	#state: Advertised;
	#connection: WebSocketConnection | null = null;
	#timer: Timer | undefined;
	#closed = false;
	readonly #others = new Map<number, DeviceState>();

	constructor(deps: DiscoveryAdvertDeps, hub: HubEndpoint, state: Advertised) {
		this.#deps = deps;
		this.#hub = hub;
		this.#state = state;
		this.#onDevices = deps.onDevices ?? (() => {});
		this.#backoff = new Backoff({ firstMs: linkLimits.firstRetryMs, maxMs: linkLimits.maxRetryMs }, deps.random);
		this.#client = new AwarenessClient(deps.random);
	}

	start(): this {
		void this.#connect();
		return this;
	}

	/** Others than this one; empty while the hub is away. */
	get devices(): readonly DeviceState[] {
		return [...this.#others.values()];
	}

	/** Says it anew: an address changed. */
	update(state: Advertised): void {
		this.#state = state;
		this.#say(JSON.stringify(state));
	}

	/** After a sign-in, or when the network came back. */
	retry(): void {
		if (this.#connection !== null || this.#closed) return;
		this.#backoff.reset();
		void this.#connect();
	}

	async close(): Promise<void> {
		this.#closed = true;
		this.#timer?.cancel();
		this.#say(null);
		await this.#connection?.close(1000, "this machine is leaving");
	}

	async #connect(): Promise<void> {
		this.#timer?.cancel();
		const token = await this.#hub.token().catch(() => null);
		if (this.#closed || token === null) return;
		const url = `${this.#hub.url.replace(/^http/, "ws").replace(/\/+$/, "")}/rooms/${discoveryRoomId}/sync`;
		const dialed = await dialWebSocket(url, this.#deps.clock, {
			...this.#hub.dial,
			headers: { authorization: `Bearer ${token}` },
			protocols: [webSocketProtocol],
		});
		if (!dialed.ok) return this.#wait();
		const { connection } = dialed;
		if (this.#closed || this.#connection !== null) return void connection.close(1000, "not needed");
		this.#connection = connection;
		connection.onMessage((data) => this.#heard(data));
		connection.onClose((code) => {
			this.#connection = null;
			this.#timer?.cancel();
			this.#others.clear();
			this.#onDevices([]);
			if (!isPermanentClose(code)) this.#wait();
		});
		connection.send(encodeStep1(new Uint8Array([0])));
		this.#say(JSON.stringify(this.#state));
	}

	#say(state: string | null): void {
		if (this.#connection === null) return;
		this.#connection.send(this.#client.says(state));
		this.#timer?.cancel();
		if (state === null) return;
		this.#timer = this.#deps.clock.after(renewMs, () => {
			this.#backoff.reset();
			this.#say(JSON.stringify(this.#state));
		});
	}

	#heard(data: Uint8Array): void {
		const frame = decodeFrame(data);
		if (frame.type !== "awareness") return;
		const entries = readAwareness(frame.payload);
		if (typeof entries === "string") return;
		for (const { client, state } of entries) {
			if (client === this.#client.id) continue;
			if (state !== null && saysDocumentsChanged(state)) {
				this.#deps.onDocuments?.();
				continue;
			}
			const device = state === null ? null : readDeviceState(state);
			if (device === null) this.#others.delete(client);
			else this.#others.set(client, device);
		}
		this.#onDevices(this.devices);
	}

	#wait(): void {
		if (this.#closed) return;
		this.#timer = this.#deps.clock.after(this.#backoff.nextMs(), () => void this.#connect());
	}
}
