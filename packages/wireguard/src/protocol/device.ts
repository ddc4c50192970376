import { type Clock, type Random, WarrenError } from "@warren/kernel";
import { AllowedIps } from "./allowed-ips.ts";
import { limits, paddingBytes, tagBytes, transportHeaderBytes } from "./constants.ts";
import { CookieChecker, InitiationLimit } from "./cookies.ts";
import type { Endpoint } from "./endpoint.ts";
import { packetLength, u32 } from "./ip-packet.ts";
import { isUsable, type Keypair } from "./keypair.ts";
import { initiation, kindOf, readCounter, readU32, response, transport, writeTransportHeader } from "./messages.ts";
import { consumeInitiation, type StaticKeys } from "./noise.ts";
import { type IndexOwner, Peer, type PeerHost, type Purpose } from "./peer.ts";
import type { MakeTransportKey, Primitives } from "./primitives.ts";
import type { Timestamps } from "./timestamps.ts";

/** What the device asks of whoever moves its packets. Byte arrays handed over are the receiver's own. */
export interface DeviceEffects {
	/** A handshake message or cookie reply to an address. */
	datagram(to: Endpoint, bytes: Uint8Array): void;
	/** The same by the relay. */
	relayed(publicKey: Uint8Array, bytes: Uint8Array): void;
	/** A session can be sent under. @returns whether anything was staged and has gone. */
	flushStaged(peer: Peer): boolean;
	dropStaged(peer: Peer): void;
	/** Seal an empty packet and send it. */
	keepalive(peer: Peer): void;
	changed(peer: Peer): void;
}

export interface DeviceDeps {
	readonly p: Primitives;
	readonly random: Random;
	readonly clock: Clock;
	readonly timestamps: Timestamps;
	readonly makeKey: MakeTransportKey;
	readonly effects: DeviceEffects;
	/** Where data messages lie while they are sealed and opened. */
	readonly arena: Uint8Array;
}

/** From whom a message came: an address, or a peer by the relay. */
export type Origin = { readonly endpoint: Endpoint } | { readonly relayedBy: Uint8Array };

interface Waiting {
	readonly message: Uint8Array;
	readonly origin: Origin;
}

/** Why a data message was not taken; as `open` gives it. */
export const refused = {
	unknownSession: -1,
	expired: -2,
	replayed: -3,
	notAuthentic: -4,
	notFromItsPeer: -5,
	malformedPacket: -6,
	wrongSource: -7,
} as const;

/**
 * The WireGuard machine: peers by key, sessions by index, inner addresses by prefix. Datagrams and `now` in, effects and
 * a deadline out; no socket, no timer of its own.
 */
export class Device {
	readonly allowed = new AllowedIps<Peer>();
	/** Whose the message opened last was. */
	openedPeer: Peer | null = null;
	/** How many were refused, by reason. */
	readonly refusals: Record<keyof typeof refused, number> = {
		unknownSession: 0,
		expired: 0,
		replayed: 0,
		notAuthentic: 0,
		notFromItsPeer: 0,
		malformedPacket: 0,
		wrongSource: 0,
	};
	readonly #deps: DeviceDeps;
	readonly #keys: StaticKeys;
	readonly #checker: CookieChecker;
	readonly #initiationLimit = new InitiationLimit();
	readonly #host: PeerHost;
	readonly #peers = new Map<string, Peer>();
	readonly #indices = new Map<number, IndexOwner | null>();
	readonly #words = new Uint32Array(4);
	#queue: Waiting[] = [];
	#underLoadUntil = Number.NEGATIVE_INFINITY;
	/** Wall minus monotonic clock, as it was at the last tick. */
	#clockDistance: number;

	/** @param privateKey 32 bytes; copied, clamped by X25519 itself. */
	constructor(deps: DeviceDeps, privateKey: Uint8Array) {
		this.#deps = deps;
		const own = Uint8Array.from(privateKey);
		this.#keys = { privateKey: own, publicKey: deps.p.publicKey(own) };
		this.#checker = new CookieChecker(deps.p, deps.random, this.#keys.publicKey);
		this.#clockDistance = deps.clock.now() - deps.clock.monotonic();
		this.#host = this.#makeHost();
	}

	get publicKey(): Uint8Array {
		return this.#keys.publicKey;
	}

	get peers(): Iterable<Peer> {
		return this.#peers.values();
	}

	get waitingHandshakes(): number {
		return this.#queue.length;
	}

	peer(publicKey: Uint8Array): Peer | undefined {
		return this.#peers.get(keyName(publicKey));
	}

	/** The peer with this key, made when it is new. @throws WarrenError for our own key or one of small order. */
	addPeer(publicKey: Uint8Array, mtu: number): Peer {
		const known = this.peer(publicKey);
		if (known !== undefined) return known;
		if (keyName(publicKey) === keyName(this.#keys.publicKey))
			throw new WarrenError("own_key", "A peer was given this device's own public key.", {
				status: 400,
				fix: "Give the other machine's key.",
			});
		const peer = new Peer(this.#host, publicKey, mtu);
		if (peer.staticStatic === null)
			throw new WarrenError(
				"bad_public_key",
				"A peer's public key is a point of small order: nobody holds its private half.",
				{
					status: 400,
				},
			);
		this.#peers.set(keyName(publicKey), peer);
		return peer;
	}

	removePeer(publicKey: Uint8Array): void {
		const peer = this.peer(publicKey);
		if (peer === undefined) return;
		this.#peers.delete(keyName(publicKey));
		this.allowed.removeOwner(peer);
		this.#deps.effects.dropStaged(peer);
		peer.close();
	}

	/** Queues a handshake message; data goes to `open`. False = the queue is full, or it is no handshake message. */
	receive(message: Uint8Array, origin: Origin, now: number): boolean {
		const kind = kindOf(message);
		if (kind === "foreign" || kind === "transport") return false;
		if (this.#queue.length >= limits.underLoadQueue) this.#underLoadUntil = now + limits.underLoadMs;
		if (this.#queue.length >= limits.handshakeQueue) return false;
		this.#queue.push({ message, origin });
		return true;
	}

	/** Works off up to `count` queued handshake messages. @returns how many still wait. */
	work(count: number, now: number): number {
		for (const waiting of this.#queue.splice(0, count)) this.#handle(waiting, now);
		return this.#queue.length;
	}

	/**
	 * Opens a data message in the arena, in place, and judges it. @returns the length of the inner packet, which lies at
	 * `offset + 16`; 0 = a keepalive; below 0 = one of `refused`.
	 */
	open(offset: number, length: number, origin: Origin, now: number): number {
		const { arena } = this.#deps;
		const owner = this.#indices.get(readU32(arena, offset + transport.receiver));
		if (owner?.state !== "session") return this.#refuse("unknownSession");
		const { keypair, peer } = owner;
		if ("relayedBy" in origin && keyName(origin.relayedBy) !== keyName(peer.publicKey))
			return this.#refuse("notFromItsPeer");
		if (!isUsable(keypair, now)) return this.#refuse("expired");
		const counter = readCounter(arena, offset + transport.counter);
		if (!keypair.window.accepts(counter)) return this.#refuse("replayed");
		const payload = offset + transport.payload;
		const sealed = length - transport.payload;
		if (!keypair.receive.open(payload, sealed, counter)) return this.#refuse("notAuthentic");
		keypair.window.take(counter);
		this.openedPeer = peer;
		const from = "endpoint" in origin ? origin.endpoint : null;
		const plain = sealed - tagBytes;
		if (plain === 0) {
			peer.received(keypair, from, length, true, now);
			return 0;
		}
		// It is the peer's own even if it carries nonsense: the session lives, but nothing roams by it.
		const inner = packetLength(arena, payload, plain);
		if (inner < 0) {
			peer.received(keypair, null, length, false, now);
			return this.#refuse("malformedPacket");
		}
		if (this.sourceOf(payload) !== peer) {
			peer.received(keypair, null, length, false, now);
			return this.#refuse("wrongSource");
		}
		peer.received(keypair, from, length, false, now);
		return inner;
	}

	/**
	 * Seals the `length` bytes at `offset + 16` into a data message at `offset`. @returns its length. The arena holds
	 * at least 15 + 16 bytes beyond the packet.
	 */
	seal(peer: Peer, keypair: Keypair<Peer>, offset: number, length: number, now: number): number {
		const { arena } = this.#deps;
		const counter = keypair.nextCounter++;
		let padded = length;
		if (length % paddingBytes !== 0) {
			padded = Math.max(length, Math.min(peer.mtu, length + paddingBytes - (length % paddingBytes)));
			arena.fill(0, offset + transportHeaderBytes + length, offset + transportHeaderBytes + padded);
		}
		writeTransportHeader(arena, offset, keypair.remoteIndex, counter);
		keypair.send.seal(offset + transportHeaderBytes, padded, counter);
		const bytes = transportHeaderBytes + padded + tagBytes;
		peer.sent(keypair, bytes, length === 0, now);
		return bytes;
	}

	/** Whose the source address of the packet at `offset` is. */
	sourceOf(offset: number): Peer | null {
		return this.#lookup(offset, 12, 8);
	}

	/** Whom the packet at `offset` is for. */
	destinationOf(offset: number): Peer | null {
		return this.#lookup(offset, 16, 24);
	}

	/** When `tick` is due, on the monotonic clock. */
	deadline(): number {
		let next = Number.POSITIVE_INFINITY;
		for (const peer of this.#peers.values()) next = Math.min(next, peer.timers.next);
		return next;
	}

	tick(now: number): void {
		this.#noticeSleep();
		for (const peer of this.#peers.values()) if (peer.timers.next <= now) peer.tick(now);
	}

	/** Forgets every key. The device is of no use afterwards. */
	close(): void {
		for (const peer of this.#peers.values()) peer.close();
		this.#peers.clear();
		this.#queue = [];
		this.#checker.erase();
		this.#keys.privateKey.fill(0);
	}

	/** The monotonic clock stands still while the machine sleeps, and the peers' clocks do not. */
	#noticeSleep(): void {
		const { clock } = this.#deps;
		const distance = clock.now() - clock.monotonic();
		const jump = distance - this.#clockDistance;
		this.#clockDistance = distance;
		if (jump > limits.sleepNoticeMs) for (const peer of this.#peers.values()) peer.wake(distance);
	}

	#handle({ message, origin }: Waiting, now: number): void {
		const kind = kindOf(message);
		if (kind === "cookie") {
			this.#indices.get(readU32(message, 4))?.peer.cookies.take(message, now);
			return;
		}
		if (kind !== "initiation" && kind !== "response") return;
		if (!this.#checker.hasMac1(message)) return;
		const source = "endpoint" in origin ? origin.endpoint.bytes : origin.relayedBy;
		if (now < this.#underLoadUntil) {
			if (!this.#checker.hasMac2(message, source, now)) {
				const reply = this.#checker.reply(message, source, now);
				if ("endpoint" in origin) this.#deps.effects.datagram(origin.endpoint, reply);
				else this.#deps.effects.relayed(origin.relayedBy, reply);
				return;
			}
			if (!this.#initiationLimit.allows(source, now)) return;
		}
		if (kind === "initiation") this.#takeInitiation(message, origin, now);
		else this.#takeResponse(message, origin, now);
	}

	#takeInitiation(message: Uint8Array, origin: Origin, now: number): void {
		let peer: Peer | undefined;
		const consumed = consumeInitiation(this.#deps.p, this.#keys, message, (remoteStatic) => {
			peer = this.peer(remoteStatic);
			if (peer === undefined || !peer.mayAnswer(now, limits.handshakeIntervalMs)) return null;
			return peer.staticStatic;
		});
		if (consumed === null || peer === undefined || !speaksFor(origin, peer)) return;
		peer.answer(consumed, readU32(message, initiation.sender), endpointIn(origin), now);
	}

	#takeResponse(message: Uint8Array, origin: Origin, now: number): void {
		const owner = this.#indices.get(readU32(message, response.receiver));
		if (owner?.state !== "initiated" || !speaksFor(origin, owner.peer)) return;
		owner.peer.takeResponse(message, readU32(message, response.sender), endpointIn(origin), now);
	}

	#lookup(offset: number, at4: number, at6: number): Peer | null {
		const { arena } = this.#deps;
		if ((arena[offset] as number) >>> 4 === 4) return this.allowed.lookup4(u32(arena, offset + at4));
		for (let word = 0; word < 4; word++) this.#words[word] = u32(arena, offset + at6 + word * 4);
		return this.allowed.lookup6(this.#words);
	}

	#refuse(reason: keyof typeof refused): number {
		this.refusals[reason] += 1;
		return refused[reason];
	}

	#makeHost(): PeerHost {
		const { p, random, clock, timestamps, makeKey, effects } = this.#deps;
		return {
			p,
			keys: this.#keys,
			random,
			timestamps,
			makeKey,
			claimIndex: () => {
				for (;;) {
					const index = readU32(random.bytes(4), 0);
					if (this.#indices.has(index)) continue;
					this.#indices.set(index, null);
					return index;
				}
			},
			bindIndex: (index, owner) => void this.#indices.set(index, owner),
			freeIndex: (index) => void this.#indices.delete(index),
			sendHandshake: (peer, message, purpose, relayed) => this.#sendHandshake(peer, message, purpose, relayed),
			sendKeepalive: (peer) => effects.keepalive(peer),
			sessionReady: (peer, mustConfirm) => {
				if (!effects.flushStaged(peer) && mustConfirm) effects.keepalive(peer);
			},
			dropStaged: (peer) => effects.dropStaged(peer),
			changed: (peer) => effects.changed(peer),
			wallClock: () => clock.now(),
		};
	}

	/** An answer to what the relay brought goes back by it: nobody knows yet that another way works. */
	#sendHandshake(peer: Peer, message: Uint8Array, purpose: Purpose, relayed: boolean): void {
		peer.sentBytes += message.length;
		const answersRelay = purpose === "response" && relayed;
		const isDirect = peer.route !== "relay" && peer.endpoint !== null && !answersRelay;
		if (isDirect) this.#deps.effects.datagram(peer.endpoint as Endpoint, message);
		if (peer.route !== "direct" || !isDirect)
			this.#deps.effects.relayed(peer.publicKey, isDirect ? Uint8Array.from(message) : message);
	}
}

function endpointIn(origin: Origin): Endpoint | null {
	return "endpoint" in origin ? origin.endpoint : null;
}

/** The relay says whose a message is; it must be true of what the message proves. */
function speaksFor(origin: Origin, peer: Peer): boolean {
	return "endpoint" in origin || keyName(origin.relayedBy) === keyName(peer.publicKey);
}

function keyName(publicKey: Uint8Array): string {
	return Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString("base64");
}
