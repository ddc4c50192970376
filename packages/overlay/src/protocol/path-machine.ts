import type { Random } from "@warren/kernel";
import { pathLimits } from "./path-limits.ts";
import {
	type Candidate,
	format,
	isBetter,
	isIdle,
	isVia,
	keyOfCandidate,
	newPeer,
	type PathEffect,
	type PathPeer,
	type PathState,
	type Peer,
} from "./path-peer.ts";
import type { WireGuardKey } from "./peer-record.ts";
import type { OpenedProbe } from "./probe.ts";
import type { MappedAddress } from "./stun.ts";

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
		return { at: peer.state.at, endpoint: via?.to ?? null, rttMs: via?.rttMs ?? null, mtu: peer.mtu.bytes };
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
			for (const candidate of peer.candidates.values()) candidate.narrowUntil = 0;
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
		if (pending.mtu > 0) {
			const mtu = peer.mtu.answered(pending.key, pending.mtu, now);
			if (mtu !== null) this.#effects.push({ type: "mtu", peer: key, bytes: mtu });
			return;
		}
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
			peer.mtu.stop();
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
		if (peer.state.at === "direct") next = Math.min(next, peer.mtu.nextAt(!isIdle(peer, now)));
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
		if (moved) peer.mtu.begin(text, now);
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
		if (peer.state.at !== "direct") return;
		const candidate = peer.candidates.get(peer.state.via);
		if (candidate === undefined) return;
		const before = peer.mtu.bytes;
		const step = peer.mtu.step(peer.state.via, !isIdle(peer, now), candidate.answeredAt, now);
		if (step === null) return;
		if (step.type === "probe") for (const bytes of step.sizes) this.#ping(key, peer, candidate, now, bytes);
		else if (step.type === "found") {
			if (step.bytes !== before) this.#effects.push({ type: "mtu", peer: key, bytes: step.bytes });
		} else {
			// The relay carries anything. Without one, what fits is better than nothing.
			candidate.narrowUntil = now + 10 * pathLimits.reseekEveryMs;
			peer.mtu.bytes = pathLimits.mtuLadder.at(-1) as number;
			this.#effects.push({ type: "mtu", peer: key, bytes: peer.mtu.bytes });
			if (this.#relay) peer.state = { at: "relay" };
		}
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
