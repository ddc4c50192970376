import type { OverlayRoute, Random } from "@warren/kernel";
import { limits, specification } from "./constants.ts";
import { CookieHolder } from "./cookies.ts";
import type { Endpoint } from "./endpoint.ts";
import { isUsable, type Keypair, KeypairSlots, newKeypair } from "./keypair.ts";
import {
	type ConsumedInitiation,
	consumeResponse,
	createInitiation,
	createResponse,
	erasePending,
	type PendingInitiation,
	type SessionKeys,
	type StaticKeys,
} from "./noise.ts";
import { PeerTimers } from "./peer-timers.ts";
import type { MakeTransportKey, Primitives } from "./primitives.ts";
import { isLater, type Timestamps, timestampBytes } from "./timestamps.ts";

/** Why something goes out, which tells the relay's lane and who it is for. */
export type Purpose = "initiation" | "response" | "keepalive";

/** What a peer asks of the device that it belongs to. */
export interface PeerHost {
	readonly p: Primitives;
	readonly keys: StaticKeys;
	readonly random: Random;
	readonly timestamps: Timestamps;
	readonly makeKey: MakeTransportKey;
	/** A sender index that nothing uses. */
	claimIndex(): number;
	/** Whom messages to this index reach from now on. */
	bindIndex(index: number, owner: IndexOwner): void;
	freeIndex(index: number): void;
	/** A handshake message. `relayed`: it answers one that the relay brought. */
	sendHandshake(peer: Peer, message: Uint8Array, purpose: Purpose, relayed: boolean): void;
	/** An empty packet, under the current session. */
	sendKeepalive(peer: Peer): void;
	/** A session can be sent under: what is staged may go. `mustConfirm`: with nothing staged, a keepalive. */
	sessionReady(peer: Peer, mustConfirm: boolean): void;
	/** Nobody answers: what is staged is given up. */
	dropStaged(peer: Peer): void;
	/** The endpoint moved or a handshake completed. */
	changed(peer: Peer): void;
	wallClock(): number;
}

export type IndexOwner =
	| { readonly state: "initiated"; readonly peer: Peer }
	| { readonly state: "session"; readonly peer: Peer; readonly keypair: Keypair<Peer> };

type Handshake =
	| { readonly state: "idle" }
	| {
			readonly state: "initiated";
			readonly localIndex: number;
			readonly pending: PendingInitiation;
			/** How far the wall clock was ahead of the monotonic one then, ms. */
			readonly clockDistance: number;
	  };

const idle: Handshake = { state: "idle" };

/**
 * One peer: its handshake, sessions, timers and endpoint.
 *
 * ```
 *            initiate            response taken
 *   idle ───────────► initiated ───────────────► idle, session current
 *     ▲                   │  retry each 5 s, 18 times
 *     └───────────────────┘  gave up, or the peer's own initiation was answered
 * ```
 */
export class Peer {
	readonly publicKey: Uint8Array;
	readonly sessions: KeypairSlots<Peer>;
	readonly timers: PeerTimers;
	readonly cookies: CookieHolder;
	endpoint: Endpoint | null = null;
	route: OverlayRoute = "direct";
	/** Wall clock, ms. */
	lastHandshakeAt: number | null = null;
	receivedBytes = 0;
	sentBytes = 0;
	/** Of inner packets. */
	mtu: number;
	#presharedKey = new Uint8Array(32);
	readonly #host: PeerHost;
	readonly #staticStatic: Uint8Array | null;
	#handshake: Handshake = idle;
	#lastInitiationSent = Number.NEGATIVE_INFINITY;
	#lastInitiationTaken = Number.NEGATIVE_INFINITY;
	#lastTimestamp = new Uint8Array(timestampBytes);
	/** A late rekey by the receiving side is asked for once a session. */
	#lateRekeyAsked = false;

	constructor(host: PeerHost, publicKey: Uint8Array, mtu: number) {
		this.#host = host;
		this.publicKey = Uint8Array.from(publicKey);
		this.mtu = mtu;
		this.#staticStatic = host.p.dh(host.keys.privateKey, publicKey);
		this.cookies = new CookieHolder(host.p, publicKey);
		this.timers = new PeerTimers(host.random);
		this.sessions = new KeypairSlots<Peer>((keypair) => {
			host.freeIndex(keypair.localIndex);
			keypair.send.erase();
			keypair.receive.erase();
		});
	}

	/** DH of both static keys; null when the peer's key is a point of small order, which can never shake hands. */
	get staticStatic(): Uint8Array | null {
		return this.#staticStatic;
	}

	setPresharedKey(key: Uint8Array | undefined): void {
		this.#presharedKey.fill(0);
		if (key !== undefined) this.#presharedKey.set(key);
	}

	/** The session to send a packet under; null = none, and a handshake has been asked for. */
	sessionToSend(now: number): Keypair<Peer> | null {
		const current = this.sessions.current;
		if (current !== null && isUsable(current, now)) return current;
		this.initiate(now);
		return null;
	}

	/** Begins a handshake, or begins it again, unless one began less than 5 s ago. */
	initiate(now: number, isRetry = false): void {
		if (!isRetry) this.timers.attempts = 0;
		if (now - this.#lastInitiationSent < specification.rekeyTimeoutMs) return;
		const { p, keys, random } = this.#host;
		if (this.#staticStatic === null) return;
		this.#dropHandshake();
		const localIndex = this.#host.claimIndex();
		const timestamp = this.#host.timestamps.next(this.#host.wallClock());
		const ephemeral = Uint8Array.from(random.bytes(32));
		const made = createInitiation(p, keys, this.publicKey, this.#staticStatic, ephemeral, timestamp, localIndex);
		if (made === null) {
			this.#host.freeIndex(localIndex);
			return;
		}
		this.#host.bindIndex(localIndex, { state: "initiated", peer: this });
		const clockDistance = this.#host.wallClock() - now;
		this.#handshake = { state: "initiated", localIndex, pending: made.pending, clockDistance };
		this.#lastInitiationSent = now;
		this.cookies.sign(made.message, now);
		this.timers.authenticatedSent(now);
		this.timers.initiationSent(now);
		this.#host.sendHandshake(this, made.message, "initiation", false);
	}

	/** Answers an authentic initiation; false = a replay, or too soon after the last. */
	answer(consumed: ConsumedInitiation, sender: number, from: Endpoint | null, now: number): boolean {
		if (!isLater(consumed.timestamp, this.#lastTimestamp)) return false;
		this.#lastTimestamp.set(consumed.timestamp);
		const { p, random } = this.#host;
		const ephemeral = Uint8Array.from(random.bytes(32));
		const localIndex = this.#host.claimIndex();
		const made = createResponse(p, consumed, ephemeral, this.#presharedKey, localIndex, sender);
		ephemeral.fill(0);
		if (made === null) {
			this.#host.freeIndex(localIndex);
			return false;
		}
		this.#lastInitiationTaken = now;
		// An initiation of our own stays pending: of two that begin at once each then takes the other's response and
		// has both sessions, where the reference drops both and waits for a retry.
		this.sessions.addAnswered(this.#makeKeypair(made.keys, false, localIndex, sender, now));
		this.heardFrom(from);
		this.timers.sessionMade(now);
		this.timers.authenticatedReceived(now);
		this.cookies.sign(made.message, now);
		this.timers.authenticatedSent(now);
		this.#host.sendHandshake(this, made.message, "response", from === null);
		return true;
	}

	/** Whether an initiation may cost us its answer now. */
	mayAnswer(now: number, intervalMs: number): boolean {
		return now - this.#lastInitiationTaken >= intervalMs;
	}

	/** Takes the response to our initiation. */
	takeResponse(message: Uint8Array, sender: number, from: Endpoint | null, now: number): boolean {
		if (this.#handshake.state !== "initiated") return false;
		const { p, keys } = this.#host;
		const made = consumeResponse(p, keys, this.#handshake.pending, this.#presharedKey, message);
		if (made === null) return false;
		const { localIndex, pending } = this.#handshake;
		erasePending(pending);
		this.#handshake = idle;
		this.sessions.addInitiated(this.#makeKeypair(made, true, localIndex, sender, now));
		this.heardFrom(from);
		this.timers.sessionMade(now);
		this.timers.authenticatedReceived(now);
		this.#completed();
		// What is staged confirms the session to the responder; with nothing staged a keepalive does.
		this.#host.sessionReady(this, true);
		return true;
	}

	/** Authenticated data of `bytes` on the wire came under `keypair`. */
	received(keypair: Keypair<Peer>, from: Endpoint | null, bytes: number, isKeepalive: boolean, now: number): void {
		this.heardFrom(from);
		this.receivedBytes += bytes;
		const isFirst = this.sessions.confirm(keypair);
		this.timers.authenticatedReceived(now);
		if (!isKeepalive) this.timers.dataReceived(now);
		if (isFirst) {
			this.#completed();
			this.#host.sessionReady(this, false);
		}
		const current = this.sessions.current;
		if (
			!this.#lateRekeyAsked &&
			current?.isInitiator === true &&
			now - current.createdAt >=
				specification.rejectAfterMs - specification.keepaliveTimeoutMs - specification.rekeyTimeoutMs
		) {
			this.#lateRekeyAsked = true;
			this.initiate(now);
		}
	}

	/** Data of `bytes` on the wire left under `keypair`. */
	sent(keypair: Keypair<Peer>, bytes: number, isKeepalive: boolean, now: number): void {
		this.sentBytes += bytes;
		this.timers.authenticatedSent(now);
		if (!isKeepalive) this.timers.dataSent(now);
		if (
			keypair.nextCounter >= specification.rekeyAfterMessages ||
			(keypair.isInitiator && now - keypair.createdAt >= specification.rekeyAfterMs)
		)
			this.initiate(now);
	}

	/** Roams: what is authentic came from there. The relay's datagrams move nothing. */
	heardFrom(from: Endpoint | null): void {
		if (from === null || from === this.endpoint) return;
		const isSame = this.endpoint !== null && sameBytes(this.endpoint.bytes, from.bytes);
		this.endpoint = from;
		if (!isSame) this.#host.changed(this);
	}

	tick(now: number): void {
		const { timers } = this;
		if (timers.retryInitiation <= now) this.#retry(now);
		if (timers.sendKeepalive <= now) {
			timers.sendKeepalive = Number.POSITIVE_INFINITY;
			this.#host.sendKeepalive(this);
			if (timers.keepaliveAgain) {
				timers.keepaliveAgain = false;
				timers.sendKeepalive = now + specification.keepaliveTimeoutMs;
			}
		}
		if (timers.newHandshake <= now) {
			timers.newHandshake = Number.POSITIVE_INFINITY;
			this.#forgetSource();
			this.initiate(now);
		}
		if (timers.persistentKeepalive <= now) {
			timers.persistentKeepalive = now + timers.keepaliveIntervalMs;
			if (this.sessionToSend(now) !== null) this.#host.sendKeepalive(this);
		}
		if (timers.eraseKeys <= now) this.erase();
	}

	/** Forgets every key of every session and handshake. */
	erase(): void {
		this.#dropHandshake();
		this.sessions.clear();
		this.timers.stop();
	}

	/**
	 * The machine slept: sessions may be long dead on the other side. The next packet begins anew at once. What was made
	 * since it woke, before it was noticed, is good. @param clockDistance by how much the wall clock is ahead now, ms.
	 */
	wake(clockDistance: number): void {
		const isSince = (distance: number) => Math.abs(clockDistance - distance) <= limits.sleepNoticeMs;
		const hasNew = this.sessions.keep((keypair) => isSince(keypair.clockDistance));
		const isShaking = this.#handshake.state === "initiated" && isSince(this.#handshake.clockDistance);
		if (hasNew || isShaking) return;
		this.erase();
		this.#lastInitiationSent = Number.NEGATIVE_INFINITY;
	}

	/** The peer is removed. */
	close(): void {
		this.erase();
		this.#presharedKey.fill(0);
		this.#staticStatic?.fill(0);
	}

	#retry(now: number): void {
		const { timers } = this;
		timers.retryInitiation = Number.POSITIVE_INFINITY;
		if (timers.attempts >= specification.rekeyAttemptMs / specification.rekeyTimeoutMs) {
			timers.sendKeepalive = Number.POSITIVE_INFINITY;
			this.#dropHandshake();
			this.#host.dropStaged(this);
			if (timers.eraseKeys === Number.POSITIVE_INFINITY) timers.sessionMade(now);
			return;
		}
		timers.attempts += 1;
		this.#forgetSource();
		this.initiate(now, true);
	}

	/** The own address may be what fails: let the system choose again. */
	#forgetSource(): void {
		if (this.endpoint !== null && this.endpoint.local !== null) this.endpoint = { ...this.endpoint, local: null };
	}

	#completed(): void {
		this.timers.handshakeComplete();
		this.#lateRekeyAsked = false;
		this.lastHandshakeAt = this.#host.wallClock();
		this.#host.changed(this);
	}

	#makeKeypair(
		keys: SessionKeys,
		isInitiator: boolean,
		localIndex: number,
		remoteIndex: number,
		now: number,
	): Keypair<Peer> {
		const send = this.#host.makeKey(keys.send, "seal");
		const receive = this.#host.makeKey(keys.receive, "open");
		keys.send.fill(0);
		keys.receive.fill(0);
		const keypair = newKeypair<Peer>({
			peer: this,
			isInitiator,
			localIndex,
			remoteIndex,
			send,
			receive,
			createdAt: now,
			clockDistance: this.#host.wallClock() - now,
		});
		this.#host.bindIndex(localIndex, { state: "session", peer: this, keypair });
		return keypair;
	}

	#dropHandshake(): void {
		if (this.#handshake.state === "idle") return;
		this.#host.freeIndex(this.#handshake.localIndex);
		erasePending(this.#handshake.pending);
		this.#handshake = idle;
	}
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
	for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
	return true;
}
