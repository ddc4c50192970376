import type { Clock, Random } from "@warren/kernel";
import { canonicalUla, parseAppUla, parseKey, peerIndexOf } from "../addresses.ts";
import { formatEndpoint, isLoopbackAddress, parseEndpoint } from "../endpoint.ts";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId, PeerRecord, Ula, WireGuardKey } from "../protocol/peer-record.ts";
import type { RosterMachine } from "../protocol/roster-machine.ts";
import { uuidv7 } from "../uuid.ts";
import type { AddressBook, AddressEntry } from "./address-book.ts";
import { AppHosts } from "./app-hosts.ts";
import type { HeartbeatBody, RegisterBody } from "./bodies.ts";
import type { CertificateFacts } from "./credentials.ts";
import type { JoinClaims } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";

/** A peer that is here. */
export interface LivePeer {
	readonly entry: AddressEntry;
	record: PeerRecord;
	heardAt: number;
	readonly observedIp: string;
	/** Of the certificate that registered it; empty in insecure mode. */
	readonly serialNumber: string;
	/** As the joiner reported, or nothing yet. */
	wgListenPort: number | null;
	listenEndpoint: string | null;
	healthy: boolean;
	claimedApps: readonly Ula[];
	/** How it reaches others, as it says: at most one entry a peer that it sees. */
	paths: ReadonlyMap<OverlayPeerId, { readonly direct: boolean; readonly lastRxAgeMs: number | null }>;
}

/** A peer that is here, as the next leader needs it. */
export type KeptPeer = Pick<
	LivePeer,
	"entry" | "record" | "observedIp" | "serialNumber" | "wgListenPort" | "listenEndpoint" | "healthy" | "claimedApps"
>;

/** Where peers that are here outlive the process. Their records are the roster's to keep. */
export interface PeerStore {
	peers(): Iterable<KeptPeer>;
	savePeer(peer: KeptPeer): void;
}

/** Who asks, as far as the transport proved it. */
export interface Caller {
	/** Null in insecure mode alone. */
	readonly certificate: CertificateFacts | null;
	readonly remoteAddress: string;
}

export interface RegistryOptions {
	/** State survives the process: then a newcomer's address is final at once. */
	readonly durable: boolean;
	/** Tags of every certificate that names none. */
	readonly defaultTags: readonly string[];
	readonly heartbeatTimeoutMs: number;
	/** Tokens admit: what one said counts for as long as the machine is known. */
	readonly byToken: boolean;
}

/** The peers of this coordinator: admits, hears, forgets. What others may know of them is the roster's. */
export class Registry {
	readonly roster: RosterMachine;
	readonly #book: AddressBook;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #options: RegistryOptions;
	readonly #live = new Map<OverlayPeerId, LivePeer>();
	readonly #liveByKey = new Map<WireGuardKey, LivePeer>();
	readonly #apps = new AppHosts();
	readonly #startedAt: number;
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
		this.#random = random;
		this.#options = options;
		this.#startedAt = clock.monotonic();
		// They have a heartbeat's time to be heard by whoever leads now.
		for (const kept of peers?.peers() ?? []) {
			const peer: LivePeer = { ...kept, heardAt: this.#startedAt, paths: new Map() };
			this.#live.set(peer.entry.peerId, peer);
			this.#liveByKey.set(peer.entry.key, peer);
			this.#apps.claim(peer.entry.peerId, peer.entry.network, peer.claimedApps);
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
		const kept = this.#book.ofKey(key);
		if (kept?.removed === true)
			throw overlayError("removed", `The key of "${body.display_name}" was removed from this overlay.`);
		const parent = this.#parentOf(body, caller);
		const who = this.#standing(body, claims, kept ?? null, parent, caller);
		if (kept !== undefined && kept.holder !== who.holder)
			throw overlayError("conflict", "This WireGuard key is registered by another certificate.", {
				fix: "Make a new key on this machine, or use the certificate that it joined with.",
			});
		const entry = this.#entryFor(key, kept, who, body, claims);
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
		this.#setApps(peer, body.hosted_app_ulas);
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
		if (body.hosted_app_ulas != null) this.#setApps(peer, body.hosted_app_ulas);
		peer.paths = new Map(
			body.peer_paths
				.filter((path) => this.#live.has(path.peer_id as OverlayPeerId))
				.map((path) => [
					path.peer_id as OverlayPeerId,
					{ direct: path.direct, lastRxAgeMs: path.last_rx_age_ms ?? null },
				]),
		);
		for (const child of this.#live.values()) if (child.record.parent === peer.entry.peerId) child.heardAt = now;
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
		for (const child of [...this.#live.values()]) if (child.record.parent === peerId) this.#drop(child);
	}

	#parentOf(body: RegisterBody, caller: Caller): LivePeer | null {
		if (body.parent == null) return null;
		const parent = this.owned(body.parent, caller);
		if (parent.record.parent !== undefined)
			throw overlayError("bad_peer", "A peer behind another cannot be a parent itself.");
		const children = [...this.#live.values()].filter((each) => each.record.parent === parent.entry.peerId).length;
		if (children >= coordinatorLimits.maxChildren)
			throw overlayError("too_many", `${parent.record.display_name} already stands for ${children} peers.`);
		return parent;
	}

	/** Network, tags and holder by authority: token, then what it was admitted with, then certificate; itself only in insecure mode. */
	#standing(
		body: RegisterBody,
		claims: JoinClaims | null,
		kept: AddressEntry | null,
		parent: LivePeer | null,
		caller: Caller,
	) {
		const key = parseKey(body.wg_public_key) as WireGuardKey;
		if (parent !== null)
			return {
				network: parent.entry.network,
				tags: parent.entry.tags,
				holder: `child:${parent.entry.holder || parent.entry.key}:${key}`,
			};
		const holder = caller.certificate?.holder ?? "";
		if (claims !== null) return { network: claims.network, tags: claims.tags, holder };
		if (kept !== null && caller.certificate !== null)
			return {
				network: kept.network,
				tags: this.#options.byToken || caller.certificate.tags.length === 0 ? kept.tags : caller.certificate.tags,
				holder,
			};
		if (caller.certificate !== null) {
			const { tags } = caller.certificate;
			return { network: body.network, tags: tags.length > 0 ? tags : this.#options.defaultTags, holder };
		}
		return { network: body.network, tags: body.tags, holder };
	}

	#entryFor(
		key: WireGuardKey,
		kept: AddressEntry | undefined,
		who: { network: string; tags: readonly string[]; holder: string },
		body: RegisterBody,
		claims: JoinClaims | null,
	): AddressEntry {
		const same = (a: AddressEntry) =>
			a.network === who.network && a.tags.length === who.tags.length && a.tags.every((tag, at) => tag === who.tags[at]);
		if (kept !== undefined && kept.network === who.network) {
			const entry = { ...kept, tags: who.tags };
			if (!same(kept)) this.#book.put(entry);
			return entry;
		}
		const earlier = who.holder === "" ? undefined : this.#book.ofHolder(who.holder);
		if (earlier?.removed === true)
			throw overlayError("removed", `"${body.display_name}" was removed from this overlay.`);
		if (earlier !== undefined && earlier.network === who.network) {
			// The machine has a new key: identity and address stay, once its old self is gone.
			const alive = this.#liveByKey.get(earlier.key);
			if (alive !== undefined && this.#clock.monotonic() - alive.heardAt < this.#options.heartbeatTimeoutMs)
				throw overlayError(
					"conflict",
					`The certificate of "${body.display_name}" already stands for peer ${earlier.peerId}, with another key.`,
					{
						fix: "Leave with the old key first, or issue this machine a certificate of its own.",
					},
				);
			this.#book.forget(earlier.key);
			const entry = { ...earlier, key, tags: who.tags };
			this.#book.put(entry);
			return entry;
		}
		if (kept !== undefined) this.#book.forget(kept.key);
		const ula = this.#addressFor(key, who.network, body, claims);
		const entry: AddressEntry = {
			key,
			peerId: kept?.peerId ?? (uuidv7(this.#clock, this.#random) as OverlayPeerId),
			network: who.network,
			ula,
			holder: who.holder,
			tags: who.tags,
			removed: false,
		};
		this.#book.put(entry);
		return entry;
	}

	#addressFor(key: WireGuardKey, network: string, body: RegisterBody, claims: JoinClaims | null): Ula {
		const wanted = body.requested_ula?.trim() ?? "";
		if (wanted === "") return this.#book.free(network);
		const ula = canonicalUla(wanted);
		const index = ula === null ? null : peerIndexOf(network, ula);
		if (ula === null || index === null || index === 0)
			throw overlayError(
				"bad_ula",
				`requested_ula "${wanted.slice(0, 64)}" is not an address of the network "${network}".`,
				{ fix: "Leave it out to be given one." },
			);
		if (
			claims !== null &&
			claims.requestedUlas.length > 0 &&
			!claims.requestedUlas.some((each) => canonicalUla(each) === ula)
		)
			throw overlayError("bad_ula", `The join token does not allow the address ${ula}.`);
		const taken = this.#book.ofAddress(ula);
		if (taken === undefined) return ula;
		if (taken.key === key) return ula;
		if (!this.#isProvisional(taken))
			throw overlayError("conflict", `The address ${ula} belongs to another key.`, {
				fix: "Leave out requested_ula to be given a free one.",
			});
		// Given to a newcomer after a restart without state; whoever comes with it had it before.
		const newcomer = this.#liveByKey.get(taken.key);
		this.#book.forget(taken.key);
		if (newcomer !== undefined) this.#drop(newcomer);
		return ula;
	}

	#isProvisional(entry: AddressEntry): boolean {
		if (this.#options.durable || this.#clock.monotonic() - this.#startedAt > coordinatorLimits.settleMs) return false;
		return !this.#claimed.has(entry.key);
	}

	/** Keys that brought their address with them. */
	readonly #claimed = new Set<WireGuardKey>();

	#recordOf(entry: AddressEntry, body: RegisterBody, parent: LivePeer | null): PeerRecord {
		if (body.requested_ula != null && !this.#options.durable) this.#claimed.add(entry.key);
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
	#setApps(peer: LivePeer, claimed: readonly string[]): void {
		const apps = [...new Set(claimed)].map((each) => {
			const ula = parseAppUla(each);
			if (ula === null)
				throw overlayError("bad_ula", `hosted_app_ulas: "${each.slice(0, 64)}" is not an app's address.`);
			return ula;
		});
		peer.claimedApps = apps;
		for (const heir of this.#apps.claim(peer.entry.peerId, peer.entry.network, apps)) this.#republishApps(heir);
	}

	#republishApps(peerId: OverlayPeerId): void {
		const peer = this.#live.get(peerId);
		if (peer === undefined) return;
		peer.record = { ...peer.record, hosted_app_ulas: this.#apps.of(peerId) };
		this.roster.upsert(peer.record, this.#clock.monotonic());
	}

	#refresh(peer: LivePeer, candidates: readonly string[], nat: "easy" | "hard" | undefined): void {
		const endpoint = peer.listenEndpoint ?? outsideOf(observedEndpoint(peer), candidates);
		const { endpoint: _endpoint, candidates: _candidates, nat: _nat, ...rest } = peer.record;
		const others = candidates.filter((each) => each !== endpoint);
		peer.record = {
			...rest,
			hosted_app_ulas: this.#apps.of(peer.entry.peerId),
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
		const { entry, record, observedIp, serialNumber, wgListenPort, listenEndpoint, healthy, claimedApps } = peer;
		const kept = { entry, record, observedIp, serialNumber, wgListenPort, listenEndpoint, healthy, claimedApps };
		const text = JSON.stringify(kept);
		if (this.#kept.get(entry.peerId) === text) return;
		this.#kept.set(entry.peerId, text);
		this.#peers.savePeer(kept);
	}
}

/** The address that the request came from, with the port that WireGuard listens on: right behind port-preserving NATs. */
export function observedEndpoint(peer: Pick<LivePeer, "observedIp" | "wgListenPort">): string | null {
	if (peer.wgListenPort === null) return null;
	const text = formatEndpoint({ address: peer.observedIp, port: peer.wgListenPort });
	return parseEndpoint(text) === null ? null : text;
}

/** A joiner on the coordinator's own host is seen at loopback, which is another host for everybody else. */
function outsideOf(observed: string | null, candidates: readonly string[]): string | null {
	const loops = (text: string) => isLoopbackAddress(parseEndpoint(text)?.address ?? "");
	return observed !== null && loops(observed) ? (candidates.find((each) => !loops(each)) ?? observed) : observed;
}

function connectivityOf(peer: LivePeer): PeerRecord["connectivity"] {
	if (!peer.healthy) return "dead";
	if (peer.record.relay_only) return "relay";
	return peer.paths.size > 0 && [...peer.paths.values()].every((path) => !path.direct) ? "relay" : "direct";
}

/** @throws WarrenError `bad_peer`. */
function usableEndpoint(text: string | null | undefined, caller: Caller): string | null {
	if (text == null || text.trim() === "") return null;
	const endpoint = parseEndpoint(text);
	if (endpoint === null)
		throw overlayError(
			"bad_peer",
			`listen_endpoint "${text.slice(0, 64)}" is not an address and a port that can be sent to.`,
		);
	// Else a joiner could have all others send to a port of their own machines.
	if (isLoopbackAddress(endpoint.address) && !isLoopbackAddress(caller.remoteAddress)) return null;
	return formatEndpoint(endpoint);
}

/** Those that cannot be sent to are left out: a joiner lists what its interfaces have. */
function usableCandidates(texts: readonly string[], caller: Caller): string[] {
	const usable = texts.flatMap((text) => {
		const endpoint = parseEndpoint(text);
		if (endpoint === null || (isLoopbackAddress(endpoint.address) && !isLoopbackAddress(caller.remoteAddress)))
			return [];
		return [formatEndpoint(endpoint)];
	});
	return [...new Set(usable)];
}
