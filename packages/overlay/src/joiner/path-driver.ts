import { lookup } from "node:dns/promises";
import { networkInterfaces } from "node:os";
import type { Clock, Closeable, OverlayDevice, Random, Timer } from "@warren/kernel";
import { keyBytes, keyOf } from "../addresses.ts";
import {
	type Endpoint,
	formatEndpoint,
	isLoopbackAddress,
	isPrivateAddress,
	parseEndpoint,
	plainAddress,
} from "../endpoint.ts";
import { PathMachine } from "../protocol/path-machine.ts";
import type { PathPeer } from "../protocol/path-peer.ts";
import type { WireGuardKey } from "../protocol/peer-record.ts";
import { looksLikeProbe, ProbeSealer } from "../protocol/probe.ts";
import { decodeStun, encodeStunRequest, looksLikeStun } from "../protocol/stun.ts";
import type { RelayLanes } from "./relay-lanes.ts";

export const stunAskLimits = {
	/** The first answer may be lost, and so may the second. */
	retriesMs: [0, 100, 300, 900],
	/** Again this often: it also keeps the mapping. */
	everyMs: 25_000,
	maxServers: 4,
	maxLocal: 6,
} as const;

/** Roamed peers of this long are looked up together. */
const roamPauseMs = 250;

export interface PathDriverOptions {
	/** 32 bytes. */
	readonly privateKey: Uint8Array;
	/** Local addresses are candidates as well. */
	readonly localCandidates: boolean;
}

/** The paths' I/O: probes and STUN through the device's own socket, effects on the device, one timer. */
export class PathDriver implements Closeable {
	readonly #device: OverlayDevice;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #machine: PathMachine;
	readonly #sealer: ProbeSealer;
	readonly #options: PathDriverOptions;
	#timer: Timer | null = null;
	#stunTimers: Timer[] = [];
	#stunServers: readonly Endpoint[] = [];
	readonly #asked = new Map<string, string>();
	/** Servers that have not answered this round. */
	#waiting = new Set<string>();
	readonly #mapped = new Map<string, Endpoint>();
	readonly #bytes = new Map<WireGuardKey, number>();
	readonly #roamed = new Set<WireGuardKey>();
	#roamTimer: Timer | null = null;
	#onPunch: (peer: WireGuardKey) => void = () => {};
	#onCandidates: () => void = () => {};
	#closed = false;

	constructor(device: OverlayDevice, relay: RelayLanes, clock: Clock, random: Random, options: PathDriverOptions) {
		this.#device = device;
		this.#clock = clock;
		this.#random = random;
		this.#options = options;
		this.#machine = new PathMachine(random);
		this.#sealer = new ProbeSealer(options.privateKey, random);
		device.onDatagram((bytes, from) => this.#onDatagram(bytes, from));
		device.onPeerChange((key) => this.#onPeerChange(keyOf(key)));
		device.onRelayDatagram((key, bytes, urgent) => relay.send(keyOf(key), bytes, urgent));
		relay.onDatagram((from, bytes) => {
			// The relay vouches for nobody: the device judges what is sealed; only known peers cost it that.
			if (this.#machine.knows(from)) device.receiveRelayed(keyBytes(from), bytes);
		});
		relay.onChange((available) => {
			this.#machine.setRelay(available, clock.monotonic());
			this.#run();
		});
		this.#machine.setRelay(relay.available, clock.monotonic());
	}

	/** A path is sought that both sides must try at once. */
	onPunch(handler: (peer: WireGuardKey) => void): void {
		this.#onPunch = handler;
	}

	/** Where this host may be reached has changed. */
	onCandidates(handler: () => void): void {
		this.#onCandidates = handler;
	}

	setPeer(key: WireGuardKey, peer: PathPeer): void {
		this.#machine.setPeer(key, peer, this.#clock.monotonic());
		this.#run();
	}

	removePeer(key: WireGuardKey): void {
		this.#machine.removePeer(key);
		this.#sealer.forget(key);
		this.#bytes.delete(key);
	}

	punch(key: WireGuardKey, to: Endpoint): void {
		this.#machine.punch(key, to, this.#clock.monotonic());
		this.#run();
	}

	networkChanged(): void {
		this.#machine.networkChanged(this.#clock.monotonic());
		this.#run();
		this.#askStun();
	}

	/** Counters of the device: traffic keeps a path lively. */
	traffic(key: WireGuardKey, totalBytes: number): void {
		if (this.#bytes.get(key) === totalBytes) return;
		this.#bytes.set(key, totalBytes);
		this.#machine.active(key, this.#clock.monotonic());
		this.#run();
	}

	stateOf(key: WireGuardKey) {
		return this.#machine.stateOf(key);
	}

	/** What STUN saw, best first, then this host's own addresses. */
	candidates(): string[] {
		const local = this.#options.localCandidates
			? localAddresses().map((address) => formatEndpoint({ address, port: this.#device.listenPort }))
			: [];
		// A coordinator on this very host sees loopback, which means another host everywhere else.
		const mapped = [...this.#mapped.values()];
		const seen = mapped.filter((each) => !isLoopbackAddress(each.address)).map(formatEndpoint);
		return [...new Set([...seen, ...local, ...mapped.map(formatEndpoint)])].slice(0, 8);
	}

	/** `hard`: two servers saw two mappings of one socket. Null = not known. */
	get nat(): "easy" | "hard" | null {
		if (this.#mapped.size < 2) return null;
		return new Set([...this.#mapped.values()].map(formatEndpoint)).size > 1 ? "hard" : "easy";
	}

	/** @param host of the coordinator; its STUN server is there. */
	async useStun(host: string, ports: readonly number[]): Promise<void> {
		const bare = host.replace(/^\[|\]$/g, "");
		const found = await lookup(bare).catch(() => null);
		if (found === null || this.#closed) return;
		this.#stunServers = ports.slice(0, stunAskLimits.maxServers).map((port) => ({ address: found.address, port }));
		this.#askStun();
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
		this.#roamTimer?.cancel();
		for (const timer of this.#stunTimers) timer.cancel();
	}

	#onPeerChange(key: WireGuardKey): void {
		if (this.#closed) return;
		this.#roamed.add(key);
		this.#roamTimer ??= this.#clock.after(roamPauseMs, () => {
			this.#roamTimer = null;
			// A device that cannot say where its peers are has its own condition; the next change asks again.
			void this.#followRoaming().catch(() => {});
		});
	}

	async #followRoaming(): Promise<void> {
		const keys = new Set(this.#roamed);
		this.#roamed.clear();
		const { peers } = await this.#device.status();
		for (const { publicKey, endpoint } of peers) {
			const key = keyOf(publicKey);
			if (endpoint === null || !keys.has(key)) continue;
			const to = { address: plainAddress(endpoint.address), port: endpoint.port };
			this.#machine.roamed(key, to, this.#clock.monotonic());
		}
		this.#run();
	}

	#askStun(): void {
		for (const timer of this.#stunTimers) timer.cancel();
		this.#stunTimers = [];
		if (this.#closed || this.#stunServers.length === 0) return;
		this.#asked.clear();
		this.#waiting = new Set(this.#stunServers.map(formatEndpoint));
		for (const afterMs of stunAskLimits.retriesMs) {
			this.#stunTimers.push(
				this.#clock.after(afterMs, () => {
					for (const server of this.#stunServers) {
						const text = formatEndpoint(server);
						if (!this.#waiting.has(text)) continue;
						const transaction = this.#random.bytes(12);
						this.#asked.set(Buffer.from(transaction).toString("hex"), text);
						this.#device.sendDatagram(encodeStunRequest(transaction), server);
					}
				}),
			);
		}
		this.#stunTimers.push(
			this.#clock.after(stunAskLimits.everyMs * (0.9 + 0.2 * this.#random.fraction()), () => this.#askStun()),
		);
	}

	#onDatagram(bytes: Uint8Array, source: Endpoint): void {
		const from = { address: plainAddress(source.address), port: source.port };
		if (looksLikeStun(bytes)) return this.#onStun(bytes, from);
		if (!looksLikeProbe(bytes)) return;
		const opened = this.#sealer.open(bytes, (key) => this.#machine.knows(key));
		if (opened === null) return;
		this.#machine.receive(opened, from, this.#clock.monotonic());
		this.#run();
	}

	#onStun(bytes: Uint8Array, from: Endpoint): void {
		const message = decodeStun(bytes);
		if (message?.type !== "answer") return;
		const id = Buffer.from(message.transaction).toString("hex");
		const server = this.#asked.get(id);
		// Only what was asked, and only from whom.
		if (server === undefined || server !== formatEndpoint(from)) return;
		for (const [each, of] of this.#asked) if (of === server) this.#asked.delete(each);
		this.#waiting.delete(server);
		const mapped = parseEndpoint(formatEndpoint({ ...message.mapped, address: plainAddress(message.mapped.address) }));
		// A public server that sees a private address stands behind a rewriting box: nobody else could use it.
		if (mapped === null || (isPrivateAddress(mapped.address) && !isPrivateAddress(from.address))) return;
		const before = this.#mapped.get(server);
		this.#mapped.set(server, mapped);
		this.#machine.setHardNat(this.nat === "hard");
		if (before === undefined || formatEndpoint(before) !== formatEndpoint(mapped)) this.#onCandidates();
	}

	#run(): void {
		if (this.#closed) return;
		for (const effect of this.#machine.drain()) {
			const key = keyBytes(effect.peer);
			switch (effect.type) {
				case "send": {
					const sealed = this.#sealer.seal(effect.peer, effect.probe, effect.size);
					if (sealed !== null) this.#device.sendDatagram(sealed, effect.to);
					break;
				}
				case "route":
					this.#device.setRoute(key, effect.route);
					break;
				case "endpoint":
					this.#device.setEndpoint(key, effect.to);
					break;
				case "mtu":
					this.#device.setMtu(key, effect.bytes);
					break;
				case "handshake":
					this.#device.handshake(key);
					break;
				case "punch":
					this.#onPunch(effect.peer);
			}
		}
		this.#timer?.cancel();
		const now = this.#clock.monotonic();
		const deadline = this.#machine.deadline(now);
		if (deadline === null) return;
		// Never at once: a deadline that does not move must not spin.
		this.#timer = this.#clock.after(Math.max(5, Math.ceil(deadline - now)), () => {
			this.#machine.tick(this.#clock.monotonic());
			this.#run();
		});
	}
}

/** This host's addresses that others of its networks can send to. */
function localAddresses(): string[] {
	return Object.values(networkInterfaces())
		.flat()
		.filter((each) => each !== undefined && !each.internal)
		.map((each) => plainAddress((each as { address: string }).address))
		.filter((address) => parseEndpoint(formatEndpoint({ address, port: 1 })) !== null)
		.slice(0, stunAskLimits.maxLocal);
}
