import { randomInt } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import type {
	OverlayDevice,
	OverlayDeviceStatus,
	OverlayPeer,
	OverlayRoute,
	OverlayRule,
	UdpEndpoint,
} from "@warren/kernel";
import { keyOf } from "../addresses.ts";
import { publicKeyOf } from "../protocol/probe.ts";
import type { HostNetwork } from "./host-network.ts";
import type { OpenDeviceOptions } from "./joiner-options.ts";

/** WireGuard's data type: what the fake sends stands for a sealed packet. */
const dataType = Buffer.from([4, 0, 0, 0]);

/** A device that seals nothing and has no interface, on a real UDP socket of loopback. */
export class FakeDevice implements OverlayDevice {
	readonly interfaceName: string;
	readonly publicKey: Uint8Array;
	readonly peers = new Map<string, OverlayPeer>();
	readonly routes = new Map<string, OverlayRoute>();
	readonly endpoints = new Map<string, UdpEndpoint>();
	readonly mtus = new Map<string, number>();
	readonly received: { readonly via: "direct" | "relay"; readonly text: string }[] = [];
	readonly options: OpenDeviceOptions;
	rules: readonly OverlayRule[] | null = null;
	/** The key of a peer that it takes for none. */
	refuses: string | undefined;
	/** Somebody removed its interface. */
	isGone = false;
	handshakes = 0;
	removals = 0;
	readonly #socket: Socket;
	readonly #waiters = new Set<() => void>();
	#peerChange: (publicKey: Uint8Array) => void = () => {};
	#datagram: (bytes: Uint8Array, from: UdpEndpoint) => void = () => {};
	#relay: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void = () => {};

	private constructor(options: OpenDeviceOptions, socket: Socket) {
		this.options = options;
		this.interfaceName = options.interfaceName;
		this.publicKey = publicKeyOf(options.privateKey);
		this.#socket = socket;
		socket.on("message", (bytes, from) => {
			if (bytes.subarray(0, 4).equals(dataType))
				this.received.push({ via: "direct", text: bytes.subarray(4).toString() });
			else this.#datagram(bytes, from);
			this.#changed();
		});
		socket.on("error", () => {});
	}

	static async open(options: OpenDeviceOptions): Promise<FakeDevice> {
		const socket = createSocket("udp4");
		await new Promise<void>((resolve) => socket.bind(options.listenPort, "127.0.0.1", resolve));
		return new FakeDevice(options, socket);
	}

	get listenPort(): number {
		return this.#socket.address().port;
	}

	/** As an application would, through the route that is set. */
	send(to: Uint8Array, text: string): void {
		const bytes = Buffer.concat([dataType, Buffer.from(text)]);
		const key = keyOf(to);
		const route = this.routes.get(key) ?? "direct";
		const endpoint = this.endpoints.get(key);
		if (route !== "relay" && endpoint !== undefined) this.#socket.send(bytes, endpoint.port, endpoint.address);
		if (route !== "direct") this.#relay(to, bytes, randomInt(2) === 0);
	}

	until(found: () => boolean): Promise<void> {
		return new Promise((resolve) => {
			const look = () => {
				if (!found()) return;
				this.#waiters.delete(look);
				resolve();
			};
			this.#waiters.add(look);
			look();
		});
	}

	setPeer(peer: OverlayPeer): void {
		if (keyOf(peer.publicKey) === this.refuses) throw new Error("no such key can be");
		this.peers.set(keyOf(peer.publicKey), peer);
		this.#changed();
	}
	removePeer(publicKey: Uint8Array): void {
		this.peers.delete(keyOf(publicKey));
		this.removals += 1;
		this.#changed();
	}
	setRoute(publicKey: Uint8Array, route: OverlayRoute): void {
		this.routes.set(keyOf(publicKey), route);
		this.#changed();
	}
	setEndpoint(publicKey: Uint8Array, endpoint: UdpEndpoint): void {
		this.endpoints.set(keyOf(publicKey), endpoint);
		this.#changed();
	}
	setMtu(publicKey: Uint8Array, bytes: number): void {
		this.mtus.set(keyOf(publicKey), bytes);
		this.#changed();
	}
	setRules(rules: readonly OverlayRule[] | null): void {
		this.rules = rules;
		this.#changed();
	}
	handshake(): void {
		this.handshakes += 1;
	}
	sendDatagram(bytes: Uint8Array, to: UdpEndpoint): void {
		if (!to.address.includes(":")) this.#socket.send(bytes, to.port, to.address, () => {});
	}
	onDatagram(handler: (bytes: Uint8Array, from: UdpEndpoint) => void): void {
		this.#datagram = handler;
	}
	onRelayDatagram(handler: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void): void {
		this.#relay = handler;
	}
	receiveRelayed(_publicKey: Uint8Array, bytes: Uint8Array): void {
		this.received.push({ via: "relay", text: Buffer.from(bytes.subarray(4)).toString() });
		this.#changed();
	}
	onPeerChange(handler: (publicKey: Uint8Array) => void): void {
		this.#peerChange = handler;
	}
	onUnfit(handler: (reason: string) => void): void {
		this.sayUnfit = handler;
	}
	/** As if its host had become one that it cannot serve. */
	sayUnfit: (reason: string) => void = () => {};
	/** As if an authenticated datagram of the peer had come from there. */
	roam(key: string, to: UdpEndpoint): void {
		this.endpoints.set(key, to);
		this.#peerChange(new Uint8Array(Buffer.from(key, "base64")));
	}
	async status(): Promise<OverlayDeviceStatus> {
		if (this.isGone) throw new Error("the interface is gone");
		return {
			dataPlane: "portable",
			fallback: null,
			interfaceName: this.interfaceName,
			listenPort: this.listenPort,
			publicKey: this.publicKey,
			peers: [...this.peers].map(([key, { publicKey, allowedIps }]) => ({
				publicKey,
				allowedIps,
				endpoint: this.endpoints.get(key) ?? null,
				lastHandshakeAt: null,
				receivedBytes: 0,
				sentBytes: 0,
				route: this.routes.get(key) ?? "direct",
				mtu: this.mtus.get(key) ?? 1420,
			})),
		};
	}
	async close(): Promise<void> {
		await new Promise<void>((resolve) => this.#socket.close(() => resolve()));
	}

	#changed(): void {
		for (const waiter of [...this.#waiters]) waiter();
	}
}

/** Remembers what it was asked for. */
export class FakeNetwork implements HostNetwork {
	readonly addresses = new Set<string>();
	readonly routes = new Set<string>();
	readonly installed: string[] = [];
	forwards = false;

	async apply(_interface: string, change: Parameters<HostNetwork["apply"]>[1]): Promise<void> {
		for (const each of change.removeAddresses) this.addresses.delete(each);
		for (const each of change.addAddresses) this.addresses.add(each);
		for (const each of change.removeRoutes) this.routes.delete(each);
		for (const each of change.routes) {
			this.routes.add(each);
			this.installed.push(each);
		}
	}
	async useNames(): Promise<null> {
		return null;
	}
	async forward(): Promise<null> {
		this.forwards = true;
		return null;
	}
}
