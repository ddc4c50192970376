import type { Clock, OverlayPeer, OverlayRule } from "@warren/kernel";
import { z } from "zod";
import { canonicalUla, keyBytes, parseAppUla, parseKey } from "../addresses.ts";
import { type Endpoint, parseEndpoint } from "../endpoint.ts";
import type { Ula, WireGuardKey } from "../protocol/peer-record.ts";

const ranges = z.array(z.tuple([z.number().int().min(0).max(65535), z.number().int().min(0).max(65535)])).max(1_000);
const access = z.union([
	z.literal("all"),
	z.object({ tcp: ranges, udp: ranges, icmp: z.boolean(), other: z.boolean() }),
]);
type PeerAccess = z.infer<typeof access>;

/** A peer as the coordinator tells of it; what is not understood is passed over, as new fields are optional. */
const peerInfo = z.object({
	peer_id: z.string().min(1).max(64),
	ula: z.string().max(64),
	display_name: z.string().max(80).default(""),
	tags: z.array(z.string().max(63)).max(64).default([]),
	hosted_app_ulas: z.array(z.string().max(64)).max(256).default([]),
	hosted_app_names: z.record(z.string().max(64), z.string().max(63)).optional().catch(undefined),
	wg_public_key: z.string().max(128),
	parent: z.string().max(64).optional(),
	software_version: z.string().max(64).optional(),
	relay_only: z.boolean().default(false),
	endpoint: z.string().max(64).nullish(),
	candidates: z.array(z.string().max(64)).max(16).nullish(),
	nat: z.enum(["easy", "hard"]).nullish(),
	connectivity: z.string().max(16).default("direct"),
	access: z.object({ out: access, in: access }).optional(),
});
export type PeerInfo = z.infer<typeof peerInfo>;

/** A peer as the device and the paths need it. */
export interface WantedPeer {
	readonly key: WireGuardKey;
	readonly info: PeerInfo;
	readonly device: OverlayPeer;
	/** All that goes to this peer: its own address first, then its apps, then those it forwards for. */
	readonly addresses: readonly Ula[];
	readonly endpoints: readonly Endpoint[];
}

const maxPeers = 100_000;

/** What the coordinator says of others, checked: nobody gets an address that is ours, another's, or outside the overlay. */
export class PeerTable {
	readonly #clock: Clock;
	readonly #peers = new Map<string, PeerInfo>();
	/** Not in the newest roster, and kept until then all the same. */
	readonly #fading = new Map<string, number>();
	#fresh: Set<string> | null = null;

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	get size(): number {
		return this.#peers.size;
	}

	all(): Iterable<PeerInfo> {
		return this.#peers.values();
	}

	ofId(peerId: string): PeerInfo | undefined {
		return this.#peers.get(peerId);
	}

	/**
	 * The whole roster. Entries that cannot be read are left out.
	 * @param keepMs how long those stay that it does not name: a coordinator that was just started does not know yet who
	 *   will come back to it, and whoever talks goes on talking.
	 */
	replace(list: readonly unknown[], keepMs = 0): void {
		const before = [...this.#peers.values()];
		const until = this.#clock.monotonic() + keepMs;
		this.#peers.clear();
		const fading = new Map(this.#fading);
		this.#fading.clear();
		for (const each of list) this.#put(each);
		const keys = new Set([...this.#peers.values()].map((each) => each.wg_public_key));
		for (const info of before) {
			// Who fades already goes on fading, however often the roster is asked for meanwhile.
			const end = fading.get(info.peer_id) ?? (keepMs > 0 ? until : null);
			if (end === null || this.#peers.has(info.peer_id) || keys.has(info.wg_public_key)) continue;
			this.#peers.set(info.peer_id, info);
			this.#fading.set(info.peer_id, end);
		}
	}

	/** Lets go of whoever did not come back. @returns whether anybody went. */
	fade(): boolean {
		let gone = false;
		for (const [id, until] of this.#fading) {
			if (until > this.#clock.monotonic()) continue;
			this.#fading.delete(id);
			gone = this.#peers.delete(id) || gone;
		}
		return gone;
	}

	/** One event of the stream. @returns whether the roster is another now. */
	apply(event: string, data: unknown): boolean {
		switch (event) {
			case "snapshot_begin":
				this.#fresh = new Set();
				return false;
			case "snapshot_end": {
				const fresh = this.#fresh;
				this.#fresh = null;
				if (fresh !== null)
					for (const id of [...this.#peers.keys()]) if (!fresh.has(id) && !this.#fading.has(id)) this.#peers.delete(id);
				return true;
			}
			case "peer_added":
			case "peer_updated": {
				const id = this.#put(data);
				if (id !== null) this.#fresh?.add(id);
				return id !== null;
			}
			case "peer_patched": {
				const id = (data as { peer_id?: unknown } | null)?.peer_id;
				const known = typeof id === "string" ? this.#peers.get(id) : undefined;
				return known !== undefined && this.#put({ ...known, ...(data as object) }) !== null;
			}
			case "peer_removed": {
				const id = (data as { peer_id?: unknown } | null)?.peer_id;
				if (typeof id !== "string") return false;
				this.#fading.delete(id);
				return this.#peers.delete(id);
			}
			default:
				return false;
		}
	}

	/** @param own this joiner's: never routed to anybody else. */
	wanted(own: {
		readonly peerId: string;
		readonly key: WireGuardKey;
		readonly addresses: ReadonlySet<Ula>;
	}): WantedPeer[] {
		const taken = new Set<Ula>(own.addresses);
		const keys = new Set<WireGuardKey>([own.key]);
		const result: (WantedPeer & { readonly addresses: Ula[] })[] = [];
		const byId = new Map<string, WantedPeer & { readonly addresses: Ula[] }>();
		const claim = (address: Ula | null, list: Ula[]) => {
			if (address === null || taken.has(address)) return;
			taken.add(address);
			list.push(address);
		};
		const infos = [...this.#peers.values()];
		for (const info of infos) {
			const key = parseKey(info.wg_public_key);
			// A stock client behind another node is reached through that node, and through us when it is ours.
			if (key === null || keys.has(key) || (info.parent !== undefined && info.parent !== own.peerId)) continue;
			const addresses: Ula[] = [];
			claim(canonicalUla(info.ula), addresses);
			if (addresses.length === 0) continue;
			keys.add(key);
			const endpoints = [info.endpoint, ...(info.candidates ?? [])].flatMap((text) =>
				text == null ? [] : (parseEndpoint(text) ?? []),
			);
			const peer = { key, info, addresses, endpoints, device: { publicKey: keyBytes(key), allowedIps: [] } };
			result.push(peer);
			byId.set(info.peer_id, peer);
		}
		// Peers' own addresses before all else: an app's claim never takes one away.
		for (const peer of result) for (const app of peer.info.hosted_app_ulas) claim(parseAppUla(app), peer.addresses);
		for (const info of infos) {
			const parent = info.parent === undefined || info.parent === own.peerId ? undefined : byId.get(info.parent);
			if (parent !== undefined) claim(canonicalUla(info.ula), parent.addresses);
		}
		return result.map((peer) => ({
			...peer,
			device: { ...peer.device, allowedIps: peer.addresses.map((address) => `${address}/128`) },
		}));
	}

	#put(value: unknown): string | null {
		const parsed = peerInfo.safeParse(value);
		if (!parsed.success || (this.#peers.size >= maxPeers && !this.#peers.has(parsed.data.peer_id))) return null;
		// The same key under a new id: a coordinator without a memory gave it one.
		for (const id of this.#fading.keys())
			if (this.#peers.get(id)?.wg_public_key === parsed.data.wg_public_key) this.#peers.delete(id);
		this.#fading.delete(parsed.data.peer_id);
		this.#peers.set(parsed.data.peer_id, parsed.data);
		return parsed.data.peer_id;
	}
}

/** The policy's ports and directions, for the packet path; null when every peer may everything. */
export function rulesFor(peers: readonly WantedPeer[]): OverlayRule[] | null {
	if (peers.every((peer) => peer.info.access === undefined)) return null;
	const groups = new Map<
		string,
		{ readonly access: { readonly out: PeerAccess; readonly in: PeerAccess }; readonly addresses: string[] }
	>();
	for (const peer of peers) {
		const shown = peer.info.access ?? { out: "all" as const, in: "all" as const };
		const key = JSON.stringify(shown);
		const group = groups.get(key) ?? { access: shown, addresses: [] };
		group.addresses.push(...peer.device.allowedIps);
		groups.set(key, group);
	}
	return [...groups.values()].flatMap(({ access: shown, addresses }) => [
		...rulesOf("in", shown.in, addresses),
		...rulesOf("out", shown.out, addresses),
	]);
}

function rulesOf(direction: "in" | "out", allowed: PeerAccess, addresses: readonly string[]): OverlayRule[] {
	if (allowed === "all") return [{ direction, addresses }];
	const rules: OverlayRule[] = [];
	for (const protocol of ["tcp", "udp"] as const)
		if (allowed[protocol].length > 0) rules.push({ direction, addresses, protocol, ports: allowed[protocol] });
	if (allowed.icmp) rules.push({ direction, addresses, protocol: "icmp" });
	// "Every other protocol, but not all of tcp" has no rule of its own: such packets are refused.
	return rules;
}
