import type { Clock, Random } from "@warren/kernel";
import { parseAppUla, parseKey } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "../protocol/peer-record.ts";
import type { RosterMachine } from "../protocol/roster-machine.ts";
import type { AddressBook, AddressEntry } from "./address-book.ts";
import { Admission } from "./admission.ts";
import { type AppClaims, AppHosts } from "./app-hosts.ts";
import type { HeartbeatBody, RegisterBody } from "./bodies.ts";
import type { JoinClaims } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";
import type { Caller, LivePeer, PeerStore, RegistryOptions } from "./live-peer.ts";
import { observedEndpoint, outsideOf, usableCandidates, usableEndpoint } from "./peer-endpoints.ts";

/** The peers of this coordinator: admits, hears, forgets. What others may know of them is the roster's. */
export class Registry {
	readonly roster: RosterMachine;
	readonly #book: AddressBook;
	readonly #clock: Clock;
	readonly #options: RegistryOptions;
	readonly #admission: Admission;
	readonly #live = new Map<OverlayPeerId, LivePeer>();
	readonly #liveByKey = new Map<WireGuardKey, LivePeer>();
	/** Of those that stand for others. */
	readonly #children = new Map<OverlayPeerId, Set<OverlayPeerId>>();
	readonly #apps = new AppHosts();
	readonly #peers: PeerStore | null;
	/** By peer: as it was kept last. */
	readonly #kept = new Map<OverlayPeerId, string>();

	/** @param peers null = a start begins without anybody. */
	constructor(
		roster: RosterMachine,
		book: AddressBook,
		clock: Clock,
		random: Random,
		options: RegistryOptions,
		peers: PeerStore | null = null,
	) {
		this.#peers = peers;
		this.roster = roster;
		this.#book = book;
		this.#clock = clock;
		this.#admission = new Admission(book, clock, random, options, {
			ofKey: (key) => this.#liveByKey.get(key),
			drop: (peer) => this.#drop(peer),
		});
		this.#options = options;
		// They have a heartbeat's time to be heard by whoever leads now.
		for (const kept of peers?.peers() ?? []) {
			const peer: LivePeer = { ...kept, heardAt: clock.monotonic(), paths: new Map() };
			this.#live.set(peer.entry.peerId, peer);
			this.#liveByKey.set(peer.entry.key, peer);
			this.#adopt(peer);
			this.#apps.claim(peer.entry.peerId, peer.entry.network, claimsOf(peer));
		}
	}

	get size(): number {
		return this.#live.size;
	}

	peers(): Iterable<LivePeer> {
		return this.#live.values();
	}

	ofId(peerId: string): LivePeer | undefined {
		return this.#live.get(peerId as OverlayPeerId);
	}

	ofKey(key: WireGuardKey): LivePeer | undefined {
		return this.#liveByKey.get(key);
	}

	/** What a returning key was admitted with: it needs no token twice. */
	known(keyText: string, caller: Caller): AddressEntry | null {
		const key = parseKey(keyText);
		const entry = key === null ? undefined : this.#book.ofKey(key);
		return entry !== undefined && caller.certificate !== null && entry.holder === caller.certificate.holder
			? entry
			: null;
	}

	/** @throws WarrenError `bad_key`, `bad_ula`, `bad_peer`, `removed`, `conflict`, `exhausted`, `too_many`. */
	register(body: RegisterBody, claims: JoinClaims | null, caller: Caller): LivePeer {
		const key = parseKey(body.wg_public_key);
		if (key === null)
			throw overlayError("bad_key", `wg_public_key is not a WireGuard key: "${body.wg_public_key.slice(0, 64)}".`);
		const parent = this.#parentOf(body, caller);
		const entry = this.#admission.admit(key, body, claims, parent, caller);
		const before = this.#live.get(entry.peerId);
		if (before === undefined && this.#live.size >= coordinatorLimits.maxPeers)
			throw overlayError("too_many", `There are already ${coordinatorLimits.maxPeers} peers.`);
		if (before !== undefined && before.entry.key !== key) this.#liveByKey.delete(before.entry.key);
		const peer: LivePeer = {
			entry,
			record: this.#recordOf(entry, body, parent),
			heardAt: this.#clock.monotonic(),
			observedIp: caller.remoteAddress,
			serialNumber: caller.certificate?.serialNumber ?? "",
			wgListenPort: body.wg_listen_port ?? null,
			listenEndpoint: usableEndpoint(body.listen_endpoint, caller),
			healthy: true,
			claimedApps: [],
			paths: new Map(),
		};
		this.#live.set(entry.peerId, peer);
		this.#liveByKey.set(key, peer);
		if (before !== undefined) this.#release(before);
		this.#adopt(peer);
		this.#setApps(peer, body.hosted_app_ulas, body.hosted_app_names);
		this.#refresh(peer, usableCandidates(body.candidates, caller), body.nat ?? undefined);
		return peer;
	}

	/** @throws WarrenError `unknown_peer`, `not_your_peer`. */
	heartbeat(body: HeartbeatBody, caller: Caller): LivePeer {
		const peer = this.owned(body.peer_id, caller);
		const now = this.#clock.monotonic();
		peer.heardAt = now;
		peer.healthy = body.dataplane_healthy;
		// What is absent stays: an endpoint that a heartbeat does not repeat is not gone.
		if (body.wg_listen_port != null) peer.wgListenPort = body.wg_listen_port;
		if (body.listen_endpoint != null) peer.listenEndpoint = usableEndpoint(body.listen_endpoint, caller);
		if (body.hosted_app_ulas != null) this.#setApps(peer, body.hosted_app_ulas, body.hosted_app_names);
		peer.paths = new Map(
			body.peer_paths
				.filter((path) => this.#live.has(path.peer_id as OverlayPeerId))
				.map((path) => [
					path.peer_id as OverlayPeerId,
					{ direct: path.direct, lastRxAgeMs: path.last_rx_age_ms ?? null },
				]),
		);
		for (const child of this.#childrenOf(peer.entry.peerId)) child.heardAt = now;
		const candidates =
			body.candidates == null ? (peer.record.candidates ?? []) : usableCandidates(body.candidates, caller);
		this.#refresh({ ...peer, observedIp: caller.remoteAddress }, candidates, body.nat ?? peer.record.nat);
		return this.#live.get(peer.entry.peerId) as LivePeer;
	}

	/** Leaving is final for the roster; the address stays this key's. Unknown peers have left already. @throws WarrenError `not_your_peer`. */
	deregister(peerId: string, caller: Caller): void {
		const peer = this.#live.get(peerId as OverlayPeerId);
		if (peer === undefined) return;
		this.owned(peerId, caller);
		this.#drop(peer);
	}

	/** An administrator's word: it goes, and stays gone until `readmit`. @returns null when there is no such peer. */
	removeForGood(peerId: string): LivePeer | null {
		const peer = this.#live.get(peerId as OverlayPeerId);
		const entry = peer?.entry ?? [...this.#book.entries()].find((each) => each.peerId === peerId);
		if (entry === undefined) return null;
		this.#book.put({ ...entry, removed: true });
		if (peer !== undefined) this.#drop(peer);
		return peer ?? null;
	}

	readmit(peerId: string): boolean {
		const entry = [...this.#book.entries()].find((each) => each.peerId === peerId && each.removed);
		if (entry !== undefined) this.#book.put({ ...entry, removed: false });
		return entry !== undefined;
	}

	removed(): AddressEntry[] {
		return [...this.#book.entries()].filter((each) => each.removed);
	}

	/** The peer, once it is proved to be the caller's. @throws WarrenError `unknown_peer`, `not_your_peer`. */
	owned(peerId: string, caller: Caller): LivePeer {
		const peer = this.#live.get(peerId as OverlayPeerId);
		if (peer === undefined) throw overlayError("unknown_peer", `No peer "${peerId.slice(0, 64)}" is registered.`);
		const holder =
			peer.record.parent === undefined ? peer.entry.holder : this.#live.get(peer.record.parent)?.entry.holder;
		if (caller.certificate !== null && holder !== caller.certificate.holder)
			throw overlayError(
				"not_your_peer",
				`The certificate of "${caller.certificate.name}" is not the one of peer ${peerId.slice(0, 64)}.`,
			);
		return peer;
	}

	/** Forgets whoever was silent for too long. @returns how many. */
	sweep(): number {
		const silent = this.#clock.monotonic() - this.#options.heartbeatTimeoutMs;
		const gone = [...this.#live.values()].filter((peer) => peer.heardAt < silent);
		for (const peer of gone) this.#drop(peer);
		return gone.length;
	}

	dropRevoked(isRevoked: (serialNumber: string) => boolean): void {
		for (const peer of [...this.#live.values()]) if (isRevoked(peer.serialNumber)) this.#drop(peer);
	}

	#drop(peer: LivePeer): void {
		const { peerId, key } = peer.entry;
		this.#live.delete(peerId);
		this.#kept.delete(peerId);
		if (this.#liveByKey.get(key)?.entry.peerId === peerId) this.#liveByKey.delete(key);
		this.roster.remove(peerId, this.#clock.monotonic());
		for (const heir of this.#apps.release(peerId)) this.#republishApps(heir);
		this.#release(peer);
		for (const child of this.#childrenOf(peerId)) this.#drop(child);
	}

	#childrenOf(peerId: OverlayPeerId): LivePeer[] {
		return [...(this.#children.get(peerId) ?? [])].flatMap((child) => this.#live.get(child) ?? []);
	}

	#adopt({ entry, record: { parent } }: LivePeer): void {
		if (parent === undefined) return;
		const children = this.#children.get(parent) ?? new Set();
		this.#children.set(parent, children.add(entry.peerId));
	}

	#release({ entry, record: { parent } }: LivePeer): void {
		const children = parent === undefined ? undefined : this.#children.get(parent);
		if (parent === undefined || children === undefined) return;
		children.delete(entry.peerId);
		if (children.size === 0) this.#children.delete(parent);
	}

	#parentOf(body: RegisterBody, caller: Caller): LivePeer | null {
		if (body.parent == null) return null;
		const parent = this.owned(body.parent, caller);
		if (parent.record.parent !== undefined)
			throw overlayError("bad_peer", "A peer behind another cannot be a parent itself.");
		const children = this.#childrenOf(parent.entry.peerId).length;
		if (children >= coordinatorLimits.maxChildren)
			throw overlayError("too_many", `${parent.record.display_name} already stands for ${children} peers.`);
		return parent;
	}

	#recordOf(entry: AddressEntry, body: RegisterBody, parent: LivePeer | null): PeerRecord {
		return {
			peer_id: entry.peerId,
			ula: entry.ula,
			display_name: body.display_name,
			network: entry.network,
			tags: entry.tags,
			hosted_app_ulas: [],
			kind: body.kind,
			wg_public_key: entry.key,
			...(parent === null ? {} : { parent: parent.entry.peerId }),
			...(body.app_uuid == null ? {} : { app_uuid: body.app_uuid }),
			...(body.software_version == null ? {} : { software_version: body.software_version }),
			relay_only: body.relay_only,
			connectivity: body.relay_only ? "relay" : "direct",
		};
	}

	/** @throws WarrenError `bad_ula`. */
	#setApps(peer: LivePeer, claimed: readonly string[], names: Readonly<Record<string, string>>): void {
		const apps = [...new Set(claimed)].map((each) => {
			const ula = parseAppUla(each);
			if (ula === null)
				throw overlayError("bad_ula", `hosted_app_ulas: "${each.slice(0, 64)}" is not an app's address.`);
			return ula;
		});
		peer.claimedApps = apps;
		const named = claimed.flatMap((each) => (names[each] === undefined ? [] : [[parseAppUla(each), names[each]]]));
		peer.claimedNames = Object.fromEntries(named) as Record<Ula, string>;
		for (const heir of this.#apps.claim(peer.entry.peerId, peer.entry.network, claimsOf(peer)))
			this.#republishApps(heir);
	}

	#republishApps(peerId: OverlayPeerId): void {
		const peer = this.#live.get(peerId);
		if (peer === undefined) return;
		const { hosted_app_names: _names, ...rest } = peer.record;
		peer.record = { ...rest, ...this.#appsOf(peer.entry) };
		this.roster.upsert(peer.record, this.#clock.monotonic());
	}

	#appsOf({ peerId, network }: AddressEntry): Pick<PeerRecord, "hosted_app_ulas" | "hosted_app_names"> {
		const { ulas, names } = this.#apps.of(peerId, network);
		return { hosted_app_ulas: ulas, ...(Object.keys(names).length === 0 ? {} : { hosted_app_names: names }) };
	}

	#refresh(peer: LivePeer, candidates: readonly string[], nat: "easy" | "hard" | undefined): void {
		const endpoint = peer.listenEndpoint ?? outsideOf(observedEndpoint(peer), candidates);
		const { endpoint: _endpoint, candidates: _candidates, nat: _nat, hosted_app_names: _names, ...rest } = peer.record;
		const others = candidates.filter((each) => each !== endpoint);
		peer.record = {
			...rest,
			...this.#appsOf(peer.entry),
			...(endpoint === null || peer.record.relay_only ? {} : { endpoint }),
			...(others.length === 0 || peer.record.relay_only ? {} : { candidates: others }),
			...(nat === undefined ? {} : { nat }),
			connectivity: connectivityOf(peer),
		};
		this.#live.set(peer.entry.peerId, peer);
		this.#liveByKey.set(peer.entry.key, peer);
		this.roster.upsert(peer.record, this.#clock.monotonic());
		this.#keep(peer);
	}

	#keep(peer: LivePeer): void {
		if (this.#peers === null) return;
		const { heardAt: _heardAt, paths: _paths, ...kept }: LivePeer = peer;
		const { entry } = kept;
		const text = JSON.stringify(kept);
		if (this.#kept.get(entry.peerId) === text) return;
		this.#kept.set(entry.peerId, text);
		this.#peers.savePeer(kept);
	}
}

function claimsOf({ claimedApps, claimedNames }: LivePeer): AppClaims {
	return new Map(claimedApps.map((app) => [app, claimedNames?.[app] ?? null]));
}

function connectivityOf(peer: LivePeer): PeerRecord["connectivity"] {
	if (!peer.healthy) return "dead";
	if (peer.record.relay_only) return "relay";
	return peer.paths.size > 0 && [...peer.paths.values()].every((path) => !path.direct) ? "relay" : "direct";
}
