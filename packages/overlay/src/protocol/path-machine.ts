import type { Random } from "@warren/kernel";
import type { WireGuardKey } from "./peer-record.ts";
import type { OpenedProbe, Probe } from "./probe.ts";
import type { MappedAddress } from "./stun.ts";

/** Times in milliseconds; most are the field's own (Tailscale's disco). */
export const pathLimits = {
	/** A candidate is probed this often while a path is sought. */
	seekEveryMs: 5_000,
	/** How long it is sought before it rests until the next round. */
	seekForMs: 30_000,
	/** A better path is looked for this often. */
	reseekEveryMs: 60_000,
	heartbeatMs: 3_000,
	/** An answer proves its path for this long. */
	trustMs: 6_500,
	/** Sent both ways for this long, then the relay alone. */
	doubtMs: 10_000,
	/** Without traffic a path is only kept open, below what NATs forget. */
	idleAfterMs: 45_000,
	idleHeartbeatMs: 20_000,
	idleTrustMs: 45_000,
	punchEveryMs: 10_000,
	/** Pings of one punch: simultaneous, then twice more. */
	punchPings: [0, 100, 250],
	maxCandidates: 16,
	/** Addresses that nobody named are taken up this often: a replayed ping shows any address. */
	strayEveryMs: 200,
	maxPending: 64,
	pendingMs: 5_000,
	/** Better by this share and this much, or it is not worth a move. */
	betterShare: 0.8,
	betterMs: 5,
	/** Of inner packets; tried together, thrice. */
	mtuLadder: [1420, 1380, 1340, 1280],
	mtuTries: 3,
	mtuTryMs: 1_000,
	/** WireGuard around an inner packet: 16 bytes of header, 16 of tag. */
	sealedBytes: 32,
} as const;

export interface PathPeer {
	/** Where it may be, best first. */
	readonly candidates: readonly MappedAddress[];
	readonly relayOnly: boolean;
	/** It answers probes; others (stock WireGuard, the original's joiner) are sent to directly and by the relay. */
	readonly probes: boolean;
	readonly hardNat: boolean;
	/** A stock client behind this very host: it comes by itself, and no relay knows it. */
	readonly directOnly?: boolean;
}

export type PathEffect =
	| {
			readonly type: "send";
			readonly peer: WireGuardKey;
			readonly probe: Probe;
			readonly size: number;
			readonly to: MappedAddress;
	  }
	| { readonly type: "route"; readonly peer: WireGuardKey; readonly route: "direct" | "relay" | "both" }
	| { readonly type: "endpoint"; readonly peer: WireGuardKey; readonly to: MappedAddress }
	| { readonly type: "mtu"; readonly peer: WireGuardKey; readonly bytes: number }
	/** One handshake: a peer without probes is punched with it. */
	| { readonly type: "handshake"; readonly peer: WireGuardKey }
	/** Ask the coordinator to have both sides send at once. */
	| { readonly type: "punch"; readonly peer: WireGuardKey };

/**
 * How a peer is reached.
 *
 *              pong                    trust over
 *   relay ───────────────► direct ───────────────────► doubted
 *     ▲ ▲                    │  ▲          pong            │ │
 *     │ └── too narrow ──────┘  └──────────────────────────┘ │
 *     └───────────────── nothing for doubtMs ────────────────┘
 */
type PathState =
	| { readonly at: "relay" }
	| { readonly at: "direct"; readonly via: string; readonly trustedUntil: number }
	| { readonly at: "doubted"; readonly via: string; readonly since: number };

interface Candidate {
	readonly to: MappedAddress;
	pingedAt: number;
	/** Of the last answer; null = none lately. */
	rttMs: number | null;
	answeredAt: number;
	/** It cannot carry what IPv6 needs; not used while there is a relay. */
	narrowUntil: number;
	/** Given by the roster, rather than seen: stays while the roster names it. */
	named: boolean;
}

interface Pending {
	readonly key: string;
	readonly at: number;
	/** Of inner packets, when the ping was for the MTU; 0 = not. */
	readonly mtu: number;
}

interface MtuSearch {
	readonly via: string;
	readonly tries: number;
	readonly nextAt: number;
	readonly best: number;
}

interface Peer {
	options: PathPeer;
	state: PathState;
	readonly candidates: Map<string, Candidate>;
	readonly pending: Map<string, Pending>;
	seekUntil: number;
	reseekAt: number;
	heartbeatAt: number;
	activeAt: number;
	strayAt: number;
	punchAt: number;
	punches: { readonly at: number; readonly key: string }[];
	mtu: MtuSearch | null;
	mtuBytes: number;
	route: "direct" | "relay" | "both" | null;
	endpoint: string;
}

/** Chooses and keeps the way to each peer. No I/O: takes what arrived and `now` (monotonic ms), gives effects and a deadline. Rules: SPEC.md. */
export class PathMachine {
	readonly #random: Random;
	readonly #peers = new Map<WireGuardKey, Peer>();
	#effects: PathEffect[] = [];
	#relay = false;
	/** This side's own NAT gives each destination another port: punching is in vain. */
	#hardNat = false;

	constructor(random: Random) {
		this.#random = random;
	}

	knows(key: WireGuardKey): boolean {
		return this.#peers.has(key);
	}

	stateOf(key: WireGuardKey): {
		readonly at: PathState["at"];
		readonly endpoint: MappedAddress | null;
		readonly rttMs: number | null;
		readonly mtu: number;
	} | null {
		const peer = this.#peers.get(key);
		if (peer === undefined) return null;
		const via = peer.state.at === "relay" ? undefined : peer.candidates.get(peer.state.via);
		return { at: peer.state.at, endpoint: via?.to ?? null, rttMs: via?.rttMs ?? null, mtu: peer.mtuBytes };
	}

	drain(): PathEffect[] {
		const effects = this.#effects;
		this.#effects = [];
		return effects;
	}

	/** Adds a peer or says anew where it may be. A path that works is not touched by it. */
	setPeer(key: WireGuardKey, options: PathPeer, now: number): void {
		const known = this.#peers.get(key);
		const peer = known ?? newPeer(options, now);
		peer.options = options;
		const named = new Set(options.relayOnly ? [] : options.candidates.map(format));
		let fresh = known === undefined;
		for (const [text, candidate] of peer.candidates) {
			candidate.named = named.has(text);
			if (!candidate.named && candidate.rttMs === null && !isVia(peer, text)) peer.candidates.delete(text);
		}
		for (const to of options.relayOnly ? [] : options.candidates)
			fresh = this.#addCandidate(peer, to, true) !== null || fresh;
		if (known === undefined) this.#peers.set(key, peer);
		if (options.relayOnly && peer.state.at !== "relay") peer.state = { at: "relay" };
		if (fresh) this.#seek(key, peer, now);
		this.#settle(key, peer);
	}

	removePeer(key: WireGuardKey): void {
		this.#peers.delete(key);
	}

	/** Whether the relay can be reached now. */
	setRelay(available: boolean, now: number): void {
		if (this.#relay === available) return;
		this.#relay = available;
		for (const [key, peer] of this.#peers) {
			if (!available && peer.state.at === "relay") this.#seek(key, peer, now);
			this.#settle(key, peer);
		}
	}

	setHardNat(hard: boolean): void {
		this.#hardNat = hard;
	}

	/** Packets flow to or from this peer. */
	active(key: WireGuardKey, now: number): void {
		const peer = this.#peers.get(key);
		if (peer === undefined) return;
		const wasIdle = now - peer.activeAt > pathLimits.idleAfterMs;
		peer.activeAt = now;
		if (!wasIdle) return;
		peer.heartbeatAt = now;
		// What was trusted for long because nobody used it is trusted like any other from here on.
		if (peer.state.at === "direct")
			peer.state = { ...peer.state, trustedUntil: Math.min(peer.state.trustedUntil, now + pathLimits.trustMs) };
		if (peer.state.at === "relay") this.#seek(key, peer, now);
	}

	/** The network of this host changed, or it slept: nothing is trusted any more. */
	networkChanged(now: number): void {
		for (const [key, peer] of this.#peers) {
			if (peer.state.at === "direct") this.#doubt(key, peer, peer.state.via, now);
			this.#seek(key, peer, now);
			this.#settle(key, peer);
		}
	}

	/**
	 * An authenticated WireGuard datagram moved the device's endpoint there by itself. The device answers to it at once; a
	 * path it is once it answers a probe, whatever the path before was worth.
	 */
	roamed(key: WireGuardKey, to: MappedAddress, now: number): void {
		const peer = this.#peers.get(key);
		const text = format(to);
		if (peer === undefined || peer.options.relayOnly || peer.endpoint === text) return;
		peer.endpoint = text;
		this.#addCandidate(peer, to, false);
		const candidate = peer.candidates.get(text);
		if (candidate === undefined) return;
		if (!peer.options.probes) return this.#settle(key, peer);
		const left = peer.state.at === "relay" ? undefined : peer.candidates.get(peer.state.via);
		if (left !== undefined && left !== candidate) left.rttMs = null;
		if (now - candidate.pingedAt >= pathLimits.strayEveryMs) this.#ping(key, peer, candidate, now);
	}

	/** The coordinator says: the other side sends now, send as well. */
	punch(key: WireGuardKey, to: MappedAddress, now: number): void {
		const peer = this.#peers.get(key);
		if (peer === undefined || peer.options.relayOnly) return;
		const text = format(to);
		this.#addCandidate(peer, to, false);
		if (!peer.candidates.has(text)) return;
		if (!peer.options.probes) {
			// Exactly one initiation a burst: more would be judged a flood, and each voids the last.
			this.#setEndpoint(key, peer, to);
			this.#effects.push({ type: "handshake", peer: key });
			return;
		}
		peer.punches = pathLimits.punchPings.map((afterMs) => ({ at: now + afterMs, key: text }));
		this.tick(now);
	}

	/** A sealed probe came, and was opened. */
	receive({ from: key, probe, size }: OpenedProbe, from: MappedAddress, now: number): void {
		const peer = this.#peers.get(key);
		if (peer === undefined || peer.options.relayOnly) return;
		const text = format(from);
		if (probe.type === "ping") {
			this.#effects.push({
				type: "send",
				peer: key,
				probe: { type: "pong", tx: probe.tx, size: Math.min(size, 0xffff), seen: from },
				size: 0,
				to: from,
			});
			// Where it came from may be a way back, but only an answer to our own ping proves that.
			if (now - peer.strayAt < pathLimits.strayEveryMs && !peer.candidates.has(text)) return;
			const added = this.#addCandidate(peer, from, false);
			if (added !== null) peer.strayAt = now;
			if (added !== null && peer.state.at !== "direct") this.#ping(key, peer, added, now);
			return;
		}
		const pending = peer.pending.get(probe.tx);
		const candidate = pending === undefined ? undefined : peer.candidates.get(pending.key);
		peer.pending.delete(probe.tx);
		// An answer counts for the address that was asked, and only when it came from there.
		if (pending === undefined || candidate === undefined || pending.key !== text) return;
		if (pending.mtu > 0) return this.#mtuAnswered(key, peer, pending);
		candidate.rttMs = now - pending.at;
		candidate.answeredAt = now;
		this.#answered(key, peer, candidate, now);
	}

	/** What is due. Call at `deadline`, and whenever you like. */
	tick(now: number): void {
		for (const [key, peer] of this.#peers) this.#tickPeer(key, peer, now);
	}

	/** When to call `tick` next; null = nothing is planned. */
	deadline(now: number): number | null {
		let next = Number.POSITIVE_INFINITY;
		for (const peer of this.#peers.values()) next = Math.min(next, this.#deadlineOf(peer, now));
		return next === Number.POSITIVE_INFINITY ? null : next;
	}

	#tickPeer(key: WireGuardKey, peer: Peer, now: number): void {
		if (peer.options.relayOnly || !peer.options.probes) return;
		for (const [tx, pending] of peer.pending) if (now - pending.at >= pathLimits.pendingMs) peer.pending.delete(tx);
		const due = peer.punches.filter((each) => each.at <= now);
		peer.punches = peer.punches.filter((each) => each.at > now);
		for (const { key: text } of due) {
			const candidate = peer.candidates.get(text);
			if (candidate !== undefined) this.#ping(key, peer, candidate, now);
		}
		if (peer.state.at === "direct") {
			if (now >= peer.state.trustedUntil) this.#doubt(key, peer, peer.state.via, now);
			else if (now >= peer.heartbeatAt) {
				peer.heartbeatAt = now + (isIdle(peer, now) ? pathLimits.idleHeartbeatMs : pathLimits.heartbeatMs);
				const via = peer.candidates.get(peer.state.via);
				if (via !== undefined) this.#ping(key, peer, via, now);
			}
		} else if (peer.state.at === "doubted" && now - peer.state.since >= pathLimits.doubtMs) {
			for (const candidate of peer.candidates.values()) candidate.rttMs = null;
			peer.state = { at: "relay" };
			peer.mtu = null;
		}
		if (now >= peer.reseekAt) this.#seek(key, peer, now);
		if (now < peer.seekUntil) {
			for (const candidate of peer.candidates.values())
				if (now - candidate.pingedAt >= pathLimits.seekEveryMs && !isVia(peer, keyOfCandidate(candidate)))
					this.#ping(key, peer, candidate, now);
			if (this.#mayPunch(peer) && now >= peer.punchAt) {
				peer.punchAt = now + pathLimits.punchEveryMs;
				this.#effects.push({ type: "punch", peer: key });
			}
		}
		this.#tickMtu(key, peer, now);
		this.#settle(key, peer);
	}

	#deadlineOf(peer: Peer, now: number): number {
		if (peer.options.relayOnly || !peer.options.probes) return Number.POSITIVE_INFINITY;
		let next = peer.reseekAt;
		for (const punch of peer.punches) next = Math.min(next, punch.at);
		if (peer.state.at === "direct") next = Math.min(next, peer.state.trustedUntil, peer.heartbeatAt);
		if (peer.state.at === "doubted") next = Math.min(next, peer.state.since + pathLimits.doubtMs);
		if (now < peer.seekUntil) {
			for (const candidate of peer.candidates.values())
				if (!isVia(peer, keyOfCandidate(candidate))) next = Math.min(next, candidate.pingedAt + pathLimits.seekEveryMs);
			if (this.#mayPunch(peer)) next = Math.min(next, Math.max(now, peer.punchAt));
		}
		if (peer.mtu !== null) next = Math.min(next, peer.mtu.nextAt);
		return next;
	}

	#mayPunch(peer: Peer): boolean {
		return peer.state.at !== "direct" && peer.candidates.size > 0 && !(this.#hardNat && peer.options.hardNat);
	}

	#seek(key: WireGuardKey, peer: Peer, now: number): void {
		peer.seekUntil = now + pathLimits.seekForMs;
		// Spread, so that a crowd that met at one moment does not meet at every moment.
		peer.reseekAt = Math.round(now + pathLimits.reseekEveryMs * (0.9 + 0.2 * this.#random.fraction()));
		peer.punchAt = Math.min(peer.punchAt, now + pathLimits.seekEveryMs / 5);
		for (const candidate of peer.candidates.values())
			if (now - candidate.pingedAt >= pathLimits.seekEveryMs) this.#ping(key, peer, candidate, now);
	}

	#answered(key: WireGuardKey, peer: Peer, candidate: Candidate, now: number): void {
		const text = keyOfCandidate(candidate);
		if (candidate.narrowUntil > now && this.#relay) return;
		const trustedUntil = now + (isIdle(peer, now) ? pathLimits.idleTrustMs : pathLimits.trustMs);
		const current = peer.state.at === "direct" ? peer.candidates.get(peer.state.via) : undefined;
		if (current !== undefined && current !== candidate && !isBetter(candidate, current)) return;
		const moved = peer.state.at === "relay" || peer.state.via !== text;
		if (peer.state.at !== "direct") peer.heartbeatAt = now + pathLimits.heartbeatMs;
		peer.state = { at: "direct", via: text, trustedUntil };
		if (moved) peer.mtu = { via: text, tries: 0, nextAt: now, best: 0 };
		this.#setEndpoint(key, peer, candidate.to);
		this.#tickMtu(key, peer, now);
		this.#settle(key, peer);
	}

	#doubt(key: WireGuardKey, peer: Peer, via: string, now: number): void {
		peer.state = { at: "doubted", via, since: now };
		peer.seekUntil = now + pathLimits.seekForMs;
		peer.punchAt = now;
		for (const candidate of peer.candidates.values()) this.#ping(key, peer, candidate, now);
	}

	#tickMtu(key: WireGuardKey, peer: Peer, now: number): void {
		const search = peer.mtu;
		if (search === null || now < search.nextAt || peer.state.at !== "direct" || peer.state.via !== search.via) return;
		const candidate = peer.candidates.get(search.via);
		if (candidate === undefined) return;
		if (search.tries < pathLimits.mtuTries) {
			peer.mtu = { ...search, tries: search.tries + 1, nextAt: now + pathLimits.mtuTryMs };
			for (const bytes of pathLimits.mtuLadder) if (bytes > search.best) this.#ping(key, peer, candidate, now, bytes);
			return;
		}
		peer.mtu = null;
		if (search.best > 0) return;
		// Not even IPv6's least gets through: the relay carries anything.
		candidate.narrowUntil = now + 10 * pathLimits.reseekEveryMs;
		const least = pathLimits.mtuLadder.at(-1) as number;
		this.#setMtu(key, peer, least);
		if (this.#relay) peer.state = { at: "relay" };
	}

	#mtuAnswered(key: WireGuardKey, peer: Peer, pending: Pending): void {
		if (peer.mtu === null || peer.mtu.via !== pending.key || pending.mtu <= peer.mtu.best) return;
		const [largest] = pathLimits.mtuLadder;
		peer.mtu = pending.mtu === largest ? null : { ...peer.mtu, best: pending.mtu };
		this.#setMtu(key, peer, pending.mtu);
	}

	#setMtu(key: WireGuardKey, peer: Peer, bytes: number): void {
		if (peer.mtuBytes === bytes) return;
		peer.mtuBytes = bytes;
		this.#effects.push({ type: "mtu", peer: key, bytes });
	}

	#ping(key: WireGuardKey, peer: Peer, candidate: Candidate, now: number, mtu = 0): void {
		if (mtu === 0) candidate.pingedAt = now;
		if (peer.pending.size >= pathLimits.maxPending) return;
		const tx = Buffer.from(this.#random.bytes(8)).toString("hex");
		peer.pending.set(tx, { key: keyOfCandidate(candidate), at: now, mtu });
		this.#effects.push({
			type: "send",
			peer: key,
			probe: { type: "ping", tx },
			size: mtu === 0 ? 0 : mtu + pathLimits.sealedBytes,
			to: candidate.to,
		});
	}

	/** @returns the candidate when it is new. */
	#addCandidate(peer: Peer, to: MappedAddress, named: boolean): Candidate | null {
		const text = format(to);
		const known = peer.candidates.get(text);
		if (known !== undefined) {
			known.named ||= named;
			return null;
		}
		if (peer.candidates.size >= pathLimits.maxCandidates) {
			const spare = [...peer.candidates].find(
				([each, candidate]) => !candidate.named && candidate.rttMs === null && !isVia(peer, each),
			);
			if (spare === undefined) return null;
			peer.candidates.delete(spare[0]);
		}
		const candidate: Candidate = {
			to,
			pingedAt: Number.NEGATIVE_INFINITY,
			rttMs: null,
			answeredAt: Number.NEGATIVE_INFINITY,
			narrowUntil: 0,
			named,
		};
		peer.candidates.set(text, candidate);
		return candidate;
	}

	#setEndpoint(key: WireGuardKey, peer: Peer, to: MappedAddress): void {
		if (peer.endpoint === format(to)) return;
		peer.endpoint = format(to);
		this.#effects.push({ type: "endpoint", peer: key, to });
	}

	/** Tells the device what the state means for it, when that changed. */
	#settle(key: WireGuardKey, peer: Peer): void {
		const wanted = this.#routeOf(peer);
		if (wanted !== "relay" && peer.endpoint === "") {
			const [first] = peer.candidates.values();
			if (first !== undefined) this.#setEndpoint(key, peer, first.to);
		}
		if (peer.route === wanted) return;
		peer.route = wanted;
		this.#effects.push({ type: "route", peer: key, route: wanted });
	}

	#routeOf(peer: Peer): "direct" | "relay" | "both" {
		if (peer.options.relayOnly) return "relay";
		if (!this.#relay || peer.options.directOnly === true) return "direct";
		if (!peer.options.probes) return peer.candidates.size === 0 ? "relay" : "both";
		return peer.state.at === "relay" ? "relay" : peer.state.at === "direct" ? "direct" : "both";
	}
}

function newPeer(options: PathPeer, now: number): Peer {
	return {
		options,
		state: { at: "relay" },
		candidates: new Map(),
		pending: new Map(),
		seekUntil: now,
		reseekAt: now,
		heartbeatAt: now,
		activeAt: now,
		strayAt: Number.NEGATIVE_INFINITY,
		punchAt: now + pathLimits.seekEveryMs / 5,
		punches: [],
		mtu: null,
		mtuBytes: 0,
		route: null,
		endpoint: "",
	};
}

function isVia(peer: Peer, text: string): boolean {
	return peer.state.at !== "relay" && peer.state.via === text;
}

function isIdle(peer: Peer, now: number): boolean {
	return now - peer.activeAt > pathLimits.idleAfterMs;
}

function isBetter(candidate: Candidate, current: Candidate): boolean {
	if (candidate.rttMs === null || current.rttMs === null) return candidate.rttMs !== null;
	return (
		candidate.rttMs < current.rttMs * pathLimits.betterShare && candidate.rttMs + pathLimits.betterMs <= current.rttMs
	);
}

function keyOfCandidate(candidate: Candidate): string {
	return format(candidate.to);
}

function format({ address, port }: MappedAddress): string {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
