import type { Clock, OverlayRule, Random, Timer } from "@warren/kernel";
import { transportHeaderBytes } from "../protocol/constants.ts";
import { Device, type Origin } from "../protocol/device.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { newFacts, packetLength, readFacts, udpSourcePort } from "../protocol/ip-packet.ts";
import { kindOf } from "../protocol/messages.ts";
import type { Peer } from "../protocol/peer.ts";
import type { MakeTransportKey, Primitives } from "../protocol/primitives.ts";
import { Rules } from "../protocol/rules.ts";
import type { Timestamps } from "../protocol/timestamps.ts";
import { tooBigAnswer } from "../protocol/too-big.ts";
import { type Arena, regions, virtioHeaderBytes } from "./arena.ts";
import { Coalescer } from "./coalescer.ts";
import type { TunIo, UdpIo } from "./packet-io.ts";
import { completeChecksum, type Offload, readOffload, segment, segmentationOf } from "./segments.ts";
import { StagedPackets } from "./staged-packets.ts";
import { Train } from "./train.ts";

/**
 * Handshake messages worked off in one turn: about 1 ms, so that a flood does not starve the data, and far fewer than one
 * look at a socket brings (32 with node:dgram): a flood must show in the queue, which is what asks for cookies.
 */
const handshakesPerTurn = 4;

/** What leaves the engine other than by TUN and UDP. Byte arrays are the receiver's own. */
export interface EngineEvents {
	datagram(bytes: Uint8Array, from: Endpoint): void;
	relay(publicKey: Uint8Array, bytes: Uint8Array, urgent: boolean): void;
	peerChange(publicKey: Uint8Array): void;
}

export interface EngineDeps {
	readonly p: Primitives;
	readonly makeKey: MakeTransportKey;
	readonly random: Random;
	readonly clock: Clock;
	readonly timestamps: Timestamps;
	readonly arena: Arena;
	readonly tun: TunIo;
	readonly udp: UdpIo;
	readonly events: EngineEvents;
}

const noOffload: Offload = {
	needsChecksum: false,
	segmentation: 0,
	headerBytes: 0,
	segmentBytes: 0,
	checksumStart: 0,
	checksumOffset: 0,
};

/**
 * The packet path of one device: TUN → peer → session → train → UDP, and back. One thread, one arena; whoever owns the
 * descriptors calls `outbound` and `inbound` with what it read, then `turn`.
 */
export class Engine {
	readonly device: Device;
	/** Refused by rules, or for nobody. */
	droppedPackets = 0;
	readonly #deps: EngineDeps;
	readonly #train: Train;
	readonly #coalescer: Coalescer;
	readonly #staged = new Map<Peer, StagedPackets>();
	readonly #offload: Offload = { ...noOffload };
	readonly #facts = newFacts();
	#rules: Rules | null = null;
	#timer: Timer | undefined;
	#timerAt = Number.POSITIVE_INFINITY;
	#working = false;
	#isClosed = false;
	#now = 0;

	constructor(deps: EngineDeps, privateKey: Uint8Array) {
		this.#deps = deps;
		const { events, udp } = deps;
		this.device = new Device(
			{
				...deps,
				arena: deps.arena.bytes,
				effects: {
					datagram: (to, bytes) => udp.sendOther(to, bytes),
					relayed: (publicKey, bytes) => events.relay(Uint8Array.from(publicKey), bytes, true),
					flushStaged: (peer) => this.#flushStaged(peer),
					dropStaged: (peer) => void this.#staged.delete(peer),
					keepalive: (peer) => this.#keepalive(peer),
					changed: (peer) => events.peerChange(Uint8Array.from(peer.publicKey)),
				},
			},
			privateKey,
		);
		this.#train = new Train(this.device, udp.hasSegmentation, (...train) => this.#leave(...train));
		this.#coalescer = new Coalescer(deps.arena, deps.tun);
	}

	/** null = allowed IPs alone decide. */
	setRules(rules: readonly OverlayRule[] | null): void {
		this.#rules = rules === null ? null : new Rules(rules);
	}

	/** A packet read from the TUN, in the arena; its virtio header lies before it when the TUN has offloads. */
	outbound(at: number, length: number): void {
		this.#now = this.#deps.clock.monotonic();
		if (this.#deps.tun.hasOffload) readOffload(this.#deps.arena.view, at - virtioHeaderBytes, this.#offload);
		else Object.assign(this.#offload, noOffload);
		this.#send(at, length, this.#offload);
	}

	/** Datagrams that came together from one sender, in the received region. */
	inbound(at: number, bytes: number, segmentBytes: number, from: Endpoint): void {
		this.#now = this.#deps.clock.monotonic();
		const origin: Origin = { endpoint: from };
		for (let offset = 0; offset < bytes; offset += segmentBytes)
			this.#receive(at + offset, Math.min(segmentBytes, bytes - offset), origin);
		this.#coalescer.flush();
	}

	/** A sealed datagram that the relay brought. */
	relayed(publicKey: Uint8Array, bytes: Uint8Array): void {
		const { at, bytes: room } = regions.received;
		if (bytes.length > room) return;
		this.#now = this.#deps.clock.monotonic();
		this.#deps.arena.bytes.set(bytes, at);
		if (kindOf(bytes) === "foreign") return;
		this.#receive(at, bytes.length, { relayedBy: publicKey });
		this.#coalescer.flush();
		this.turn();
	}

	/**
	 * Ends a batch: what was gathered leaves, handshakes are worked off. The timer is not looked at: whatever a packet
	 * sets falls due 5 s later or more, and the timer comes once a second.
	 */
	turn(): void {
		this.#train.flush();
		if (this.device.waitingHandshakes > 0) this.#work();
	}

	/** Does something with the device from outside, with time and the turn around it. */
	act(action: (device: Device, now: number) => void): void {
		this.#now = this.#deps.clock.monotonic();
		action(this.device, this.#now);
		this.turn();
		this.#arm();
	}

	close(): void {
		this.#isClosed = true;
		this.#timer?.cancel();
		this.#staged.clear();
		this.device.close();
	}

	#send(at: number, available: number, offload: Offload): void {
		const { arena } = this.#deps;
		const length = packetLength(arena.bytes, at, available);
		const peer = length < 0 ? null : this.device.destinationOf(at);
		if (peer === null || this.#isOwn(at, length)) return this.#drop();
		if (this.#rules !== null) {
			readFacts(arena.bytes, at, length, this.#facts);
			if (!this.#rules.permits("out", this.#facts, this.#now)) return this.#drop();
		}
		const isSuper = offload.segmentation !== segmentationOf.none;
		if (this.#packetBytes(at, length, offload) > peer.mtu && this.#answerTooBig(at, length, peer, isSuper)) return;
		const session = peer.sessionToSend(this.#now);
		if (session === null) return this.#stage(peer, at, length, offload);
		if (isSuper) {
			const place = (bytes: number) => this.#train.place(peer, bytes);
			const done = (bytes: number) => this.#train.seal(peer, session, bytes, this.#now);
			if (!segment(arena, at, length, offload, place, done)) this.#drop();
			return;
		}
		if (offload.needsChecksum && !completeChecksum(arena, at, length, offload)) return this.#drop();
		const to = this.#train.place(peer, length);
		arena.bytes.copyWithin(to, at, at + length);
		this.#train.seal(peer, session, length, this.#now);
	}

	/**
	 * What our own socket sent, led back into the tunnel: a peer can claim, or roam to, an address inside. Sealed again it
	 * would come back for ever. A forwarded packet of the same port has a source that is some peer's.
	 */
	#isOwn(at: number, length: number): boolean {
		const { arena, udp } = this.#deps;
		return udpSourcePort(arena.bytes, at, length) === udp.port && this.device.sourceOf(at) === null;
	}

	/** Of the largest packet that this becomes on the wire. */
	#packetBytes(at: number, length: number, offload: Offload): number {
		if (offload.segmentation === segmentationOf.none) return length;
		const isUdp = offload.segmentation === segmentationOf.udp;
		const header = isUdp ? 8 : ((this.#deps.arena.bytes[at + offload.checksumStart + 12] as number) >>> 4) * 4;
		return Math.min(length, offload.checksumStart + header + offload.segmentBytes);
	}

	/** False = the sender allows fragments, and the packet goes as it is: the path outside may cut it. */
	#answerTooBig(at: number, length: number, peer: Peer, isSuper: boolean): boolean {
		const { bytes } = this.#deps.arena;
		const isV4 = (bytes[at] as number) >>> 4 === 4;
		const mayFragment = isV4 && ((bytes[at + 6] as number) & 0x40) === 0;
		if (mayFragment && !isSuper) return false;
		const answer = tooBigAnswer(bytes.subarray(at, at + length), peer.mtu);
		if (answer !== null) this.#toTun(answer);
		return true;
	}

	#toTun(packet: Uint8Array): void {
		const { arena, tun } = this.#deps;
		const { at } = regions.single;
		const header = tun.hasOffload ? virtioHeaderBytes : 0;
		arena.bytes.fill(0, at, at + header);
		arena.bytes.set(packet, at + header);
		tun.write(at, header + packet.length);
	}

	#stage(peer: Peer, at: number, length: number, offload: Offload): void {
		let staged = this.#staged.get(peer);
		if (staged === undefined) this.#staged.set(peer, (staged = new StagedPackets()));
		staged.add(this.#deps.arena.bytes.slice(at, at + length), { ...offload });
	}

	#flushStaged(peer: Peer): boolean {
		const packets = this.#staged.get(peer)?.take() ?? [];
		this.#staged.delete(peer);
		for (const { packet, offload } of packets) {
			this.#deps.arena.bytes.set(packet, regions.tun.at + virtioHeaderBytes);
			this.#send(regions.tun.at + virtioHeaderBytes, packet.length, offload);
		}
		this.#train.flush();
		return packets.length > 0;
	}

	#keepalive(peer: Peer): void {
		const session = peer.sessions.current;
		if (session === null) return;
		this.#train.place(peer, 0);
		this.#train.seal(peer, session, 0, this.#now);
		this.#train.flush();
	}

	/** A train leaves as the peer's route says. */
	#leave(peer: Peer, offset: number, bytes: number, segmentBytes: number): void {
		const isDirect = peer.route !== "relay" && peer.endpoint !== null;
		if (isDirect) this.#deps.udp.send(peer.endpoint as Endpoint, offset, bytes, segmentBytes);
		if (isDirect && peer.route === "direct") return;
		const { arena, events } = this.#deps;
		for (let at = 0; at < bytes; at += segmentBytes) {
			const length = Math.min(segmentBytes, bytes - at);
			const isKeepalive = length === 32;
			events.relay(Uint8Array.from(peer.publicKey), arena.bytes.slice(offset + at, offset + at + length), isKeepalive);
		}
	}

	#receive(at: number, length: number, origin: Origin): void {
		const { arena, events, tun } = this.#deps;
		const kind = kindOf(arena.bytes, at, length);
		if (kind === "foreign") {
			if ("endpoint" in origin) events.datagram(arena.bytes.slice(at, at + length), origin.endpoint);
			return;
		}
		if (kind !== "transport") {
			this.device.receive(arena.bytes.slice(at, at + length), origin, this.#now);
			return;
		}
		const inner = this.device.open(at, length, origin, this.#now);
		if (inner <= 0) return;
		const packet = at + transportHeaderBytes;
		if (this.#rules !== null) {
			readFacts(arena.bytes, packet, inner, this.#facts);
			if (!this.#rules.permits("in", this.#facts, this.#now)) return this.#drop();
		}
		if (tun.hasOffload) this.#coalescer.add(packet, inner);
		else tun.write(packet, inner);
	}

	#drop(): void {
		this.droppedPackets += 1;
	}

	/** A few handshakes now, the others after whatever else waits. */
	#work(): void {
		if (this.#working) return;
		const left = this.device.work(handshakesPerTurn, this.#now);
		this.#train.flush();
		if (left === 0) return;
		this.#working = true;
		setImmediate(() => {
			this.#working = false;
			if (this.#isClosed) return;
			this.#now = this.#deps.clock.monotonic();
			this.turn();
		});
	}

	#arm(): void {
		if (this.#isClosed) return;
		const deadline = Math.min(this.device.deadline(), this.#now + maxIdleMs);
		if (deadline >= this.#timerAt) return;
		this.#timer?.cancel();
		this.#timerAt = deadline;
		this.#timer = this.#deps.clock.after(Math.max(0, deadline - this.#now), () => {
			this.#timerAt = Number.POSITIVE_INFINITY;
			this.act((device, now) => device.tick(now));
		});
	}
}

/** The timer comes at least this often: a sleep is noticed, and what packets have set is seen in time. */
const maxIdleMs = 1000;
