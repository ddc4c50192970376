import type { Duplex } from "node:stream";
import {
	type Clock,
	ExpiringMap,
	type Fingerprint,
	type PeerId,
	type PeerSource,
	type PeerSourceError,
	type PeerTunnel,
	WarrenError,
} from "@warren/kernel";
import type { Kysely } from "kysely";
import { addressKey, type PeerAddress, parsePeerHost, peerIdOf } from "./address.ts";
import { PeerDialer } from "./dialer.ts";
import { peerError } from "./errors.ts";
import { askSources, joinAnswers, type KnownPeer } from "./known-peers.ts";
import { isOfOverlay, type OverlayLane, type PathKind, type PeerPath, pathKey, pathKind } from "./path.ts";
import { pinMismatch } from "./pin-mismatch.ts";
import type { Pin, Pins } from "./pins.ts";
import { type ProbeResult, probe, probeFixes } from "./probe.ts";
import { type Reached, reach, reachLimits } from "./reach.ts";
import type { PeerTables } from "./schema.ts";
import type { ManualPeers } from "./sources/manual.ts";

export const directoryLimits = {
	/** How long the list of candidates serves relays before the sources are asked again. */
	freshMs: 15_000,
	/** Probes under way at once. */
	maxProbes: 64,
	/** What a client is told to wait before it tries an absent peer again. */
	retryAfterMs: 2_000,
} as const;

/** A row of GET /api/peers. */
export interface PeerRow {
	readonly id: PeerId;
	readonly name: string;
	readonly host: string;
	readonly port: number;
	readonly source: string;
	readonly sources: readonly string[];
	readonly reachable: boolean;
	readonly app?: string;
	readonly version?: string;
	readonly rttMs?: number;
	readonly lastSeenAt?: number;
	readonly checkedAt: number;
	/** `host:port` that answered, when it is not the first. */
	readonly reachedAt?: string;
	/** How it is reached; of the relay's next connection. */
	readonly path?: PathKind;
	/** WebSockets that the relay has open to it, by the path of each; only those that have any. */
	readonly connections?: Readonly<Partial<Record<PathKind, number>>>;
	/** Its address on the overlay, when it told one. */
	readonly ula?: string;
	/** Why it is believed: this warren's CA, or the certificate of its first contact. */
	readonly trust: "warren" | "pin";
	readonly pin?: Pin;
	readonly error?: {
		readonly code: string;
		readonly message: string;
		readonly fix: string;
		readonly expected?: string;
		readonly actual?: string;
	};
}

export interface DirectoryDeps {
	readonly db: Kysely<PeerTables>;
	readonly clock: Clock;
	readonly pins: Pins;
	/** PEM of this warren's CA: its machines prove themselves by it. Null = none is known, and everybody is pinned. */
	readonly ca?: string | null;
	readonly manual: ManualPeers;
	/** Asked in this order; the first that names an address gives its name. `manual` is asked before them. */
	readonly sources: readonly PeerSource[];
	/** The floor, for machines that prove themselves. */
	readonly tunnel?: PeerTunnel<Duplex> | null;
	readonly laneOf?: OverlayLane;
	/** Addresses that are this node itself, as `host:port` keys: never listed. */
	readonly isSelf: (address: PeerAddress) => boolean;
}

/** All peers of this node: joined from every source, probed, remembered. The relay's allow-list. */
export class PeerDirectory {
	/** How its peers are connected to. */
	readonly dialer: PeerDialer;
	readonly #deps: DirectoryDeps;
	readonly #seen = new Map<string, { readonly version: string; readonly at: number }>();
	#known:
		| { readonly peers: readonly KnownPeer[]; readonly errors: readonly PeerSourceError[]; readonly at: number }
		| undefined;
	#asking: Promise<readonly KnownPeer[]> | undefined;
	readonly #contacts = new Map<PeerId, Promise<void>>();
	/** By path: the Host to which it answered last. */
	readonly #hosts = new Map<string, string>();
	/** Probes of the last moments, so that a crowd of tabs costs one. */
	readonly #fresh: ExpiringMap<PeerId, Promise<Reached>>;

	private constructor(deps: DirectoryDeps) {
		this.#deps = deps;
		this.dialer = new PeerDialer(deps.pins, deps.ca ?? null, deps.tunnel ?? null);
		this.#fresh = new ExpiringMap(deps.clock, 2000);
	}

	static async open(deps: DirectoryDeps): Promise<PeerDirectory> {
		const directory = new PeerDirectory(deps);
		for (const row of await deps.db.selectFrom("peers_seen").selectAll().execute())
			directory.#seen.set(row.address, { version: row.version, at: row.seen_at });
		return directory;
	}

	/** Every peer, probed now, and what went wrong at the sources. One failing source hides no other. */
	async list(): Promise<{ peers: PeerRow[]; errors: readonly PeerSourceError[] }> {
		const peers = await this.#ask();
		const rows: PeerRow[] = [];
		for (let at = 0; at < peers.length; at += directoryLimits.maxProbes) {
			rows.push(...(await Promise.all(peers.slice(at, at + directoryLimits.maxProbes).map((peer) => this.row(peer)))));
		}
		return { peers: rows, errors: this.#known?.errors ?? [] };
	}

	/** @throws WarrenError `unknown_peer`. */
	async get(id: string): Promise<KnownPeer> {
		const peer = await this.find(id);
		if (peer === null) throw peerError("unknown_peer", `There is no peer "${id.slice(0, 80)}" here.`);
		return peer;
	}

	/** Looks in what is known, and asks the sources again only when that is old or lacks it. */
	async find(id: string): Promise<KnownPeer | null> {
		const known = this.#known;
		const found = known?.peers.find((peer) => peer.id === id);
		const isFresh = known !== undefined && this.#deps.clock.monotonic() - known.at < directoryLimits.freshMs;
		if (isFresh) return found ?? null;
		if (found !== undefined) {
			// Stale but there: serve it, refresh behind.
			void this.#ask();
			return found;
		}
		return (await this.#ask()).find((peer) => peer.id === id) ?? null;
	}

	/** @throws WarrenError `bad_request`, `peer_exists`. */
	async add(host: string, port: number, name: string | undefined): Promise<PeerRow> {
		const canonical = parsePeerHost(host);
		if (canonical === null)
			throw peerError("bad_request", `"${host.slice(0, 80)}" is not a host name or an address.`, {
				fix: "Give it without https:// and without a path: atlas.local, 192.168.1.7 or fd00::1.",
			});
		const address = { host: canonical, port };
		if (this.#deps.isSelf(address)) throw peerError("bad_request", `${addressKey(address)} is this machine itself.`);
		await this.#deps.manual.add(address, name ?? canonical);
		await this.#refresh();
		return this.row(await this.get(peerIdOf(address)), true);
	}

	/** @throws WarrenError `unknown_peer`, `not_manual`. */
	async remove(id: string): Promise<void> {
		const peer = await this.get(id);
		if (!(await this.#deps.manual.remove(peer.address)))
			throw peerError("not_manual", `${peer.name} was not added by hand; ${peer.source} lists it.`);
		await this.#deps.pins.forget(peer.address);
		await this.#refresh();
	}

	/** Probes one peer and says how it stands. @param again do not take a probe of the last second for it. */
	async row(peer: KnownPeer, again = false): Promise<PeerRow> {
		const { clock, pins } = this.#deps;
		const key = addressKey(peer.address);
		if (again) this.#fresh.delete(peer.id);
		let probing = this.#fresh.get(peer.id);
		if (probing === undefined) {
			probing = reach(peer, this.dialer, clock);
			this.#fresh.set(peer.id, probing, 1000);
		}
		const { path, result } = await probing;
		const outcome = result.ok
			? await this.#learn(peer, path, result)
			: { code: result.code, message: result.message, fix: probeFixes[result.code] };
		const seen = this.#seen.get(key);
		const version = result.ok ? result.version : seen?.version;
		const pin = pins.get(peer.address);
		return {
			id: peer.id,
			name: peer.name,
			...peer.address,
			...(result.ok && outcome === null ? { path: this.kindOf(path), ...reachedAt(path, key) } : {}),
			...ulaOf(peer),
			trust: this.dialer.provesItself(peer) ? "warren" : "pin",
			source: peer.source,
			sources: peer.sources,
			reachable: outcome === null,
			checkedAt: clock.now(),
			...(result.ok ? { app: result.app, rttMs: result.rttMs } : {}),
			...(version === undefined ? {} : { version }),
			...(seen === undefined ? {} : { lastSeenAt: seen.at }),
			...(pin === null ? {} : { pin }),
			...(outcome === null ? {} : { error: outcome }),
		};
	}

	/** A peer that cannot be reached, and when it last was. @param reason one word for programs. */
	away(peer: KnownPeer, reason: string, message: string, fix: string, cause?: unknown): WarrenError {
		const key = addressKey(peer.address);
		// What a probe said a moment ago is no longer so.
		this.#fresh.delete(peer.id);
		this.dialer.lost(peer);
		const seen = this.#seen.get(key);
		const age = seen === undefined ? {} : { lastSeenAt: seen.at, ageMs: Math.max(0, this.#deps.clock.now() - seen.at) };
		return peerError("upstream_error", message, {
			fix,
			details: { reason, retryAfterMs: directoryLimits.retryAfterMs, ...age },
			cause,
		});
	}

	/** What a peer is called in the Host header, once it was asked. */
	hostOf(peer: KnownPeer): string {
		const key = pathKey(this.dialer.pathOf(peer));
		return this.#hosts.get(key) ?? key;
	}

	kindOf(path: PeerPath): PathKind {
		return pathKind(path, this.#deps.laneOf ?? (() => null));
	}

	/**
	 * Makes sure that a peer has a pin or proves itself, and a name that it answers to, by a first contact without a credential.
	 * @throws WarrenError `upstream_error`, `pin_mismatch`.
	 */
	async contact(peer: KnownPeer): Promise<void> {
		const isKnown = this.dialer.provesItself(peer) || this.#deps.pins.get(peer.address) !== null;
		if (isKnown && this.dialer.isReached(peer)) return;
		let contact = this.#contacts.get(peer.id);
		if (contact === undefined) {
			contact = this.#firstContact(peer).finally(() => this.#contacts.delete(peer.id));
			this.#contacts.set(peer.id, contact);
		}
		await contact;
	}

	/**
	 * Makes contact and does `work`, which says `upstream_error` when the peer is away. Where there is more than one way
	 * to it, it is looked for once more, and `work` done again: nothing of a request may have left by then.
	 * @throws WarrenError `upstream_error`, `pin_mismatch`, and what `work` throws.
	 */
	async overPaths<T>(peer: KnownPeer, work: () => Promise<T>): Promise<T> {
		await this.contact(peer);
		try {
			return await work();
		} catch (failure) {
			const isAway = failure instanceof WarrenError && failure.code === "upstream_error";
			if (!isAway || this.dialer.pathsTo(peer, reachLimits.maxAddresses).length < 2) throw failure;
			await this.contact(peer);
			return work();
		}
	}

	/** Peers that have answered, each with the path on which it did last; nobody is asked. */
	reached(): { readonly id: PeerId; readonly name: string; readonly path: PathKind }[] {
		return (this.#known?.peers ?? [])
			.filter((peer) => this.dialer.isReached(peer))
			.map((peer) => ({ id: peer.id, name: peer.name, path: this.kindOf(this.dialer.pathOf(peer)) }));
	}

	/** Looks for the best way to a peer now. @returns null when none answers, or who answers is not believed. */
	async seek(peer: KnownPeer): Promise<PeerPath | null> {
		const { path, result } = await reach(peer, this.dialer, this.#deps.clock);
		if (!result.ok || this.dialer.checkOn(path, peer, result.shown).verdict !== "match") return null;
		const before = pathKey(this.dialer.pathOf(peer));
		await this.#learn(peer, path, result);
		if (pathKey(path) !== before) this.#fresh.delete(peer.id);
		return path;
	}

	/** Whether a path carries now. */
	async carries(path: PeerPath): Promise<boolean> {
		return (await probe(path, this.dialer, this.#deps.clock)).ok;
	}

	async #firstContact(peer: KnownPeer): Promise<void> {
		const { path, result } = await reach(peer, this.dialer, this.#deps.clock);
		if (!result.ok) {
			throw this.away(peer, result.code, `${peer.name} cannot be reached: ${result.message}`, probeFixes[result.code]);
		}
		const outcome = await this.#learn(peer, path, result);
		if (outcome !== null) throw pinMismatch(peer, outcome.expected, outcome.actual);
	}

	async #learn(
		peer: KnownPeer,
		path: PeerPath,
		result: Extract<ProbeResult, { ok: true }>,
	): Promise<null | { code: string; message: string; fix: string; expected: string; actual: Fingerprint }> {
		const check = this.dialer.checkOn(path, peer, result.shown);
		if (check.verdict === "mismatch") {
			return {
				code: "pin_mismatch",
				message: `${peer.name} shows another certificate than expected.`,
				fix: probeFixes.pin_mismatch,
				expected: check.expected,
				actual: result.shown.fingerprint,
			};
		}
		if (check.verdict === "unknown") await this.#deps.pins.learn(peer.address, result.shown.fingerprint);
		// Met before it was a machine of this warren: from now on it is believed for that, and looked for elsewhere too.
		const isAtHome = path.via === "address" && addressKey(path.address) === addressKey(peer.address);
		if (isAtHome && this.#deps.pins.get(peer.address) !== null && this.dialer.hasProved(peer, result.shown))
			await this.#deps.pins.forget(peer.address);
		this.dialer.reached(peer, path);
		this.#hosts.set(pathKey(path), result.host);
		const address = addressKey(peer.address);
		const at = this.#deps.clock.now();
		const before = this.#seen.get(address);
		this.#seen.set(address, { version: result.version, at });
		if (before === undefined || before.version !== result.version || at - before.at > 60_000) {
			const row = { address, version: result.version, seen_at: at };
			await this.#deps.db
				.insertInto("peers_seen")
				.values(row)
				.onConflict((conflict) => conflict.column("address").doUpdateSet(row))
				.execute();
		}
		return null;
	}

	async #refresh(): Promise<void> {
		await this.#asking;
		await this.#ask();
	}

	#ask(): Promise<readonly KnownPeer[]> {
		this.#asking ??= this.#askSources().finally(() => {
			this.#asking = undefined;
		});
		return this.#asking;
	}

	async #askSources(): Promise<readonly KnownPeer[]> {
		const { clock, manual, sources, isSelf } = this.#deps;
		const answers = await askSources([manual, ...sources], clock);
		this.#known = {
			peers: joinAnswers(answers, isSelf),
			errors: answers.flatMap((answer) => answer.errors),
			at: clock.monotonic(),
		};
		return this.#known.peers;
	}
}

function ulaOf({ address, others }: KnownPeer): { readonly ula?: string } {
	const ula = [address, ...others].find(({ host }) => isOfOverlay(host))?.host;
	return ula === undefined ? {} : { ula };
}

function reachedAt(path: PeerPath, key: string): { readonly reachedAt?: string } {
	return path.via === "address" && addressKey(path.address) !== key ? { reachedAt: addressKey(path.address) } : {};
}
