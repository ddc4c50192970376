import {
	type Clock,
	messageOf,
	type OverlayDevice,
	type OverlayPeer,
	type OverlayRoute,
	type OverlayRule,
	type Timer,
	type UdpEndpoint,
} from "@warren/kernel";
import { wireguardConditions } from "../conditions.ts";
import { checkBytes, checkEndpoint, checkKey, checkMtu, checkPeer, checkRules } from "../device/checks.ts";
import { noteStamps, type OverlayDeviceDeps, type OverlayDeviceDetails } from "../device/overlay-device.ts";
import { KeptStamps, TimestampStore } from "../device/timestamp-store.ts";
import { wireguardError } from "../errors.ts";
import { errors, SystemCallError } from "../linux/libc.ts";
import { type Cidr, formatCidr, parseCidr } from "../protocol/cidr.ts";
import { endpointOf } from "../protocol/endpoint.ts";
import type { KernelInterface } from "./kernel-interface.ts";
import { follow, type KernelPeerRecord, wantedEndpoint, waysOf } from "./kernel-peer.ts";
import { RuleTable } from "./rule-table.ts";
import type { KernelPeer } from "./wireguard-messages.ts";

/** The kernel tells nobody when a peer roams or a handshake completes: it is asked, more often while a lane is used. */
const askEveryMs = { direct: 1_000, lanes: 250 } as const;
/** After a datagram by a lane of a peer that is reached directly: the kernel is told again where it is. */
const restoreMs = 20;
/** Stamps of the kernel's initiations are its own clock's; so far ahead they are written down. */
const stampsAheadSeconds = 60;
/** A clock that is set back by less has caught up before a session ends for want of the next one. */
const maxBehindSeconds = 61;

const noPresharedKey = new Uint8Array(32);

/**
 * `OverlayDevice` over the kernel's own WireGuard. It moves packets alone; what it cannot do is done around it: the
 * relay by lanes of the loopback interface, STUN and probes by raw sockets, rules by the system's packet filter, a
 * peer's MTU by routes.
 */
export class KernelDevice implements OverlayDevice {
	readonly interfaceName: string;
	readonly listenPort: number;
	readonly #deps: OverlayDeviceDeps;
	readonly #clock: Clock;
	readonly #kernel: KernelInterface;
	readonly #rules: RuleTable;
	readonly #stamps: KeptStamps | null;
	readonly #peers = new Map<string, KernelPeerRecord>();
	/** Removed here, and not by the kernel yet, which is asked until it does: they would go on as if they were let in. */
	readonly #leaving = new Map<string, Uint8Array>();
	/** As they were asked for, and not taken by the kernel yet, which is asked until it does. */
	readonly #refusedPeers = new Map<string, OverlayPeer>();
	/** Whose an address is. */
	readonly #owners = new Map<string, KernelPeerRecord>();
	#stampedUntil = 0;
	/** What the clock said at most, as far as it was looked at. */
	#latestSecond = 0;
	#isUnfit = false;
	/** Somebody removed the interface. */
	#isGone = false;
	#refusedCalls = 0;
	#restoring: Timer | null = null;
	#asking: Timer | null = null;
	#closing: Promise<void> | undefined;
	#onDatagram: (bytes: Uint8Array, from: UdpEndpoint) => void = () => {};
	#onRelay: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void = () => {};
	#onPeerChange: (publicKey: Uint8Array) => void = () => {};
	#onUnfit: (reason: string) => void = () => {};

	readonly #mayLeave: boolean;

	/**
	 * @param kernel an interface of this process's own, up.
	 * @param options.mayLeave another plane would be taken in its place.
	 */
	constructor(
		deps: OverlayDeviceDeps,
		kernel: KernelInterface,
		options: { readonly timestampFile: string | null; readonly mayLeave: boolean },
	) {
		const { timestampFile } = options;
		this.#mayLeave = options.mayLeave;
		this.#deps = deps;
		this.#clock = deps.clock;
		this.#kernel = kernel;
		this.interfaceName = kernel.name;
		this.listenPort = kernel.listenPort;
		this.#stamps =
			timestampFile === null
				? null
				: new KeptStamps(new TimestampStore(timestampFile), (refused) => {
						if (this.#closing === undefined) noteStamps(deps.health, kernel.name, refused);
					});
		this.#rules = new RuleTable(deps.clock, kernel.name, {
			refused: (reason) => this.#rulesRefused(reason),
			failed: (fault) => this.#fail(fault),
		});
		kernel.others.start((bytes, from) => this.#onDatagram(bytes, from));
		kernel.lanes.start((publicKey, bytes) => this.#fromLane(publicKey, bytes));
		this.#keepStamps();
		this.#ask();
	}

	get publicKey(): Uint8Array {
		return Uint8Array.from(this.#kernel.publicKey);
	}

	setPeer(peer: OverlayPeer): void {
		checkPeer(peer, this.#kernel.publicKey);
		this.#do(() => this.#setPeer(peer));
	}

	/** At once, whatever becomes of the rules; and in its turn, after what waits that lets him in. */
	removePeer(publicKey: Uint8Array): void {
		checkKey(publicKey);
		const remove = () => {
			this.#refusedPeers.delete(nameOf(publicKey));
			const peer = this.#peerOf(publicKey);
			if (peer === undefined) return;
			this.#peers.delete(nameOf(publicKey));
			this.#leaving.set(nameOf(publicKey), peer.publicKey);
			peer.lane.close();
			try {
				this.#letGo(peer.publicKey);
			} finally {
				this.#forget(peer.allowedIps);
			}
		};
		this.#try(remove);
		this.#do(remove);
	}

	setRoute(publicKey: Uint8Array, route: OverlayRoute): void {
		checkKey(publicKey);
		this.#change(publicKey, (peer) => {
			peer.route = route;
			this.#tell(peer);
		});
	}

	setEndpoint(publicKey: Uint8Array, endpoint: UdpEndpoint): void {
		checkKey(publicKey);
		checkEndpoint(endpoint);
		this.#change(publicKey, (peer) => {
			peer.direct = endpointOf(endpoint.address, endpoint.port) ?? peer.direct;
			this.#tell(peer);
		});
	}

	setMtu(publicKey: Uint8Array, bytes: number): void {
		checkKey(publicKey);
		checkMtu(bytes);
		this.#change(publicKey, (peer) => {
			peer.mtu = bytes;
			this.#kernel.mtu.set(peer.allowedIps, bytes);
		});
	}

	setRules(rules: readonly OverlayRule[] | null): void {
		if (this.#closing === undefined) this.#rules.set(rules === null ? null : checkRules(rules));
	}

	/** The kernel begins one itself when it has something to send: a keepalive that is turned on is sent at once. */
	handshake(publicKey: Uint8Array): void {
		checkKey(publicKey);
		this.#change(publicKey, (peer) => {
			for (const keepalive of [0, 1, peer.keepalive])
				this.#kernel.wireguard.setPeer(this.interfaceName, { publicKey, keepalive, updateOnly: true });
		});
	}

	sendDatagram(bytes: Uint8Array, to: UdpEndpoint): void {
		checkEndpoint(to);
		if (this.#closing === undefined) this.#kernel.others.send(to, checkBytes(bytes));
	}

	onDatagram(handler: (bytes: Uint8Array, from: UdpEndpoint) => void): void {
		this.#onDatagram = handler;
	}

	onRelayDatagram(handler: (publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean) => void): void {
		this.#onRelay = handler;
	}

	receiveRelayed(publicKey: Uint8Array, bytes: Uint8Array): void {
		const peer = this.#peerOf(checkKey(publicKey));
		if (peer === undefined || this.#closing !== undefined) return;
		peer.lane.toKernel(bytes);
		this.#restoreSoon(peer);
	}

	onPeerChange(handler: (publicKey: Uint8Array) => void): void {
		this.#onPeerChange = handler;
	}

	onUnfit(handler: (reason: string) => void): void {
		this.#onUnfit = handler;
	}

	status(): Promise<OverlayDeviceDetails> {
		return new Promise((resolve, reject) => {
			const answer = () => {
				if (this.#closing !== undefined) return reject(wireguardError("closed", `${this.interfaceName} is closed.`));
				try {
					const peers = this.#look();
					if (peers === null) reject(wireguardError("device_failed", `${this.interfaceName} is gone.`));
					else resolve(this.#details(peers));
				} catch (failure) {
					reject(failure as Error);
				}
			};
			// With what was asked before it; rules that are refused hold the device up, and not what is told of it.
			if (this.#rules.isRefused) answer();
			else this.#rules.afterwards(answer);
		});
	}

	close(): Promise<void> {
		this.#closing ??= (async () => {
			this.#restoring?.cancel();
			this.#asking?.cancel();
			for (const condition of Object.values(wireguardConditions))
				this.#deps.health.clear(condition, this.interfaceName);
			this.#kernel.close();
			// What peers have seen, also where the clock went back since.
			const latest = Math.max(this.#latestSecond, Math.floor(this.#clock.now() / 1000));
			this.#stamps?.write({ seconds: latest + 1, nanos: 0 });
			await this.#rules.close();
		})();
		return this.#closing;
	}

	#details(peers: readonly KernelPeer[]): OverlayDeviceDetails {
		return {
			dataPlane: "kernel",
			fallback: null,
			interfaceName: this.interfaceName,
			listenPort: this.listenPort,
			publicKey: this.publicKey,
			peers: peers.flatMap((seen) => {
				const peer = this.#peerOf(seen.publicKey);
				if (peer === undefined) return [];
				const endpoint = peer.direct === null ? null : { address: peer.direct.address, port: peer.direct.port };
				return { ...seen, endpoint, route: peer.route, mtu: peer.mtu };
			}),
			counters: { sendErrors: this.#kernel.others.sendErrors, refusedCalls: this.#refusedCalls },
		};
	}

	/** One that the kernel has no memory for is set later: nobody asks a second time for who is as he was. */
	#setPeer(wanted: OverlayPeer): void {
		const name = nameOf(wanted.publicKey);
		this.#refusedPeers.set(name, wanted);
		this.#configure(wanted);
		this.#refusedPeers.delete(name);
	}

	/** In its turn, unless he was let go or set otherwise meanwhile. */
	#setPeerAgain(refused: OverlayPeer): void {
		this.#do(() => {
			if (this.#refusedPeers.get(nameOf(refused.publicKey)) === refused) this.#setPeer(refused);
		});
	}

	#configure(wanted: OverlayPeer): void {
		const { publicKey, keepalive = 0, presharedKey = noPresharedKey } = wanted;
		const known = this.#peerOf(publicKey);
		const peer: KernelPeerRecord = known ?? {
			publicKey: Uint8Array.from(publicKey),
			lane: this.#kernel.lanes.open(Uint8Array.from(publicKey)),
			...{ route: "direct", direct: null, told: null, allowedIps: [], keepalive, lastHandshakeAt: null },
			mtu: this.#kernel.interfaceMtu,
		};
		const { endpoint } = wanted;
		if (endpoint !== undefined) peer.direct = endpointOf(endpoint.address, endpoint.port) ?? peer.direct;
		const before = peer.allowedIps;
		peer.allowedIps = wanted.allowedIps.map((each) => parseCidr(each)).filter((cidr) => cidr !== null);
		peer.keepalive = keepalive;
		this.#peers.set(nameOf(publicKey), peer);
		this.#leaving.delete(nameOf(publicKey));
		const kept = new Set(peer.allowedIps.map(formatCidr));
		this.#takeFromOthers(peer, kept);
		const to = wantedEndpoint(peer);
		const isTold = known !== undefined && peer.told === to;
		peer.told = null;
		this.#kernel.wireguard.setPeer(this.interfaceName, {
			...{ publicKey, presharedKey, keepalive, allowedIps: peer.allowedIps },
			...(isTold ? {} : { endpoint: to }),
		});
		peer.told = to;
		this.#forget(before.filter((cidr) => !kept.has(formatCidr(cidr))));
		this.#kernel.mtu.set(peer.allowedIps, peer.mtu);
	}

	#letGo(publicKey: Uint8Array): void {
		this.#kernel.wireguard.removePeer(this.interfaceName, publicKey);
		this.#leaving.delete(nameOf(publicKey));
	}

	/** As the kernel does: an address is one peer's, the last one's that it was given to. */
	#takeFromOthers(peer: KernelPeerRecord, taken: ReadonlySet<string>): void {
		for (const name of taken) {
			const owner = this.#owners.get(name) ?? peer;
			if (owner !== peer) owner.allowedIps = owner.allowedIps.filter((cidr) => formatCidr(cidr) !== name);
			this.#owners.set(name, peer);
		}
	}

	/** Nobody's any more. */
	#forget(addresses: readonly Cidr[]): void {
		for (const cidr of addresses) this.#owners.delete(formatCidr(cidr));
		this.#kernel.mtu.clear(addresses);
	}

	/** Tells the kernel where to send, unless it was told so last. */
	#tell(peer: KernelPeerRecord, anyway = false): void {
		const endpoint = wantedEndpoint(peer);
		if (peer.told === endpoint && !anyway) return;
		peer.told = endpoint;
		this.#kernel.wireguard.setPeer(this.interfaceName, { publicKey: peer.publicKey, endpoint, updateOnly: true });
	}

	#fromLane(publicKey: Uint8Array, bytes: Uint8Array): void {
		const peer = this.#peerOf(publicKey);
		if (peer === undefined || this.#closing !== undefined) return;
		const { direct, relay, urgent } = waysOf(peer, bytes);
		if (direct && peer.direct !== null) this.#kernel.others.send(peer.direct, bytes);
		if (relay) this.#onRelay(Uint8Array.from(publicKey), bytes, urgent);
		this.#restoreSoon(peer);
	}

	/** What came by the lane has moved the kernel's endpoint there, as roaming does. */
	#restoreSoon(peer: KernelPeerRecord): void {
		if (wantedEndpoint(peer) === peer.lane.endpoint) return;
		this.#restoring ??= this.#clock.after(restoreMs, () => {
			this.#restoring = null;
			this.#try(() => this.#look());
		});
	}

	#ask(): void {
		const usesLanes = [...this.#peers.values()].some((peer) => wantedEndpoint(peer) === peer.lane.endpoint);
		this.#asking = this.#clock.after(usesLanes ? askEveryMs.lanes : askEveryMs.direct, () => {
			this.#try(() => {
				this.#isGone = this.#look() === null;
				if (this.#isGone)
					return this.#fail(wireguardError("device_failed", `somebody removed the interface ${this.interfaceName}`));
				this.#keepStamps();
			});
			if (!this.#isGone) for (const publicKey of this.#leaving.values()) this.#try(() => this.#letGo(publicKey));
			if (!this.#isGone) for (const peer of [...this.#refusedPeers.values()]) this.#setPeerAgain(peer);
			// It does not come back by itself.
			if (this.#closing === undefined && !this.#isGone) this.#ask();
		});
	}

	/** Reads the kernel's state, follows who roamed, and corrects where the kernel sends. @returns null = it is gone. */
	#look(): readonly KernelPeer[] | null {
		const state = this.#kernel.wireguard.read(this.interfaceName);
		if (state === null) return null;
		for (const seen of state.peers) {
			const peer = this.#peerOf(seen.publicKey);
			if (peer === undefined) continue;
			const isLane = seen.endpoint === null || this.#kernel.lanes.isLane(seen.endpoint);
			const { hasChanged, mustTell } = follow(peer, seen, isLane);
			if (mustTell) this.#tell(peer, true);
			if (hasChanged) this.#onPeerChange(Uint8Array.from(peer.publicKey));
		}
		return state.peers;
	}

	#change(publicKey: Uint8Array, action: (peer: KernelPeerRecord) => void): void {
		this.#do(() => {
			const peer = this.#peerOf(publicKey);
			if (peer !== undefined) action(peer);
		});
	}

	#do(action: () => void): void {
		if (this.#closing !== undefined) return;
		this.#rules.afterwards(() => this.#try(action));
	}

	/** A kernel that refuses what it took before is a fault to be seen, not one to die of. */
	#try(action: () => void): void {
		if (this.#closing !== undefined) return;
		try {
			action();
		} catch (failure) {
			if (!(failure instanceof SystemCallError) || failure.errno === errors.ENODEV)
				return this.#fail(failure instanceof Error ? failure : new Error(messageOf(failure)));
			this.#refusedCalls += 1;
			this.#deps.logger.error("overlay: the kernel refuses", { interface: this.interfaceName, fault: failure.message });
		}
	}

	#keepStamps(): void {
		const seconds = Math.floor(this.#clock.now() / 1000);
		this.#latestSecond = Math.max(this.#latestSecond, seconds);
		if (this.#stamps === null) return;
		this.#lookBehind(this.#latestSecond - seconds);
		if (seconds < this.#stampedUntil) return;
		this.#stampedUntil = seconds + stampsAheadSeconds;
		this.#stamps.write({ seconds: this.#stampedUntil, nanos: 0 });
	}

	/** The kernel stamps by the clock: peers refuse what is stamped earlier than what they have seen. */
	#lookBehind(seconds: number): void {
		if (seconds <= maxBehindSeconds)
			return this.#deps.health.clear(wireguardConditions.clockBehind, this.interfaceName);
		const values = { interface: this.interfaceName, seconds: String(seconds) };
		this.#deps.health.raise(wireguardConditions.clockBehind, values, this.interfaceName);
		// One that was asked for by name would be taken again, and be no fitter.
		if (this.#mayLeave) this.#unfit(`this host's clock was set back by ${seconds} s, and peers have seen later stamps`);
	}

	#unfit(reason: string): void {
		if (this.#isUnfit || this.#closing !== undefined) return;
		this.#isUnfit = true;
		this.#onUnfit(reason);
	}

	#peerOf(publicKey: Uint8Array): KernelPeerRecord | undefined {
		return this.#peers.get(nameOf(publicKey));
	}

	#rulesRefused(reason: string | null): void {
		if (reason === null) return this.#deps.health.clear(wireguardConditions.rulesRefused, this.interfaceName);
		this.#deps.logger.error("overlay: the host refuses rules", { interface: this.interfaceName, reason });
		const values = { interface: this.interfaceName, reason };
		this.#deps.health.raise(wireguardConditions.rulesRefused, values, this.interfaceName);
	}

	#fail(fault: Error): void {
		this.#deps.logger.error("overlay: the data plane died", { interface: this.interfaceName, fault: fault.message });
		const values = { interface: this.interfaceName, reason: fault.message };
		this.#deps.health.raise(wireguardConditions.dataPlaneDead, values, this.interfaceName);
		this.#unfit(`its data plane died: ${fault.message}`);
	}
}

function nameOf(publicKey: Uint8Array): string {
	return Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString("base64");
}
