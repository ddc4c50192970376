import { type Logger, messageOf, type OverlayDevice } from "@warren/kernel";
import { canonicalUla } from "../addresses.ts";
import type { Ula, WireGuardKey } from "../protocol/peer-record.ts";
import type { HostChanges } from "./host-changes.ts";
import type { PathDriver } from "./path-driver.ts";
import { type PeerInfo, type PeerTable, rulesFor, type WantedPeer } from "./peer-table.ts";

export interface AppliedPeersDeps {
	readonly device: OverlayDevice;
	readonly paths: PathDriver;
	readonly host: HostChanges;
	readonly table: PeerTable;
	readonly logger: Logger;
}

/** Who this joiner is; its address may become another. */
export interface OwnPlace {
	readonly peerId: string;
	readonly key: WireGuardKey;
	readonly ula: string;
	readonly apps: readonly Ula[];
	readonly relayOnly: boolean;
}

/** The roster as device, routes, rules and paths have it. */
export class AppliedPeers {
	readonly #deps: AppliedPeersDeps;
	readonly #own: () => OwnPlace;
	readonly #applied = new Map<WireGuardKey, WantedPeer>();
	#rules = "null";

	constructor(deps: AppliedPeersDeps, own: () => OwnPlace) {
		this.#deps = deps;
		this.#own = own;
	}

	get size(): number {
		return this.#applied.size;
	}

	all(): WantedPeer[] {
		return [...this.#applied.values()];
	}

	ofKey(key: WireGuardKey): WantedPeer | undefined {
		return this.#applied.get(key);
	}

	ofId(peerId: string): WantedPeer | undefined {
		return this.all().find((peer) => peer.info.peer_id === peerId);
	}

	/** Whoever the coordinator tells of, reached or not. */
	seen(): PeerInfo[] {
		return [...this.#deps.table.all()];
	}

	/** Stock clients behind this machine. */
	children(): PeerInfo[] {
		const { peerId } = this.#own();
		return this.seen().filter((info) => info.parent === peerId);
	}

	reaches(address: Ula): boolean {
		return this.all().some((peer) => peer.addresses.includes(address));
	}

	/** Brings device, routes and rules in step with the roster. */
	async sync(): Promise<void> {
		const { paths, host, table } = this.#deps;
		const { peerId, key, ula, apps, relayOnly } = this.#own();
		const wanted = table.wanted({ peerId, key, addresses: new Set([canonicalUla(ula) as Ula, ...apps]) });
		const still = new Set(wanted.flatMap((peer) => peer.addresses));
		const removeRoutes = this.#removeAllBut(new Set(wanted.map((peer) => peer.key))).filter(
			(address) => !still.has(address),
		);
		if (this.children().length > 0) await host.allowForwarding();
		this.#setRules(wanted);
		const routes: string[] = [];
		for (const peer of wanted) {
			const before = this.#applied.get(peer.key);
			if (before !== undefined && isSame(before, peer)) continue;
			if (!this.#setPeer(peer)) continue;
			this.#applied.set(peer.key, peer);
			removeRoutes.push(...(before?.addresses ?? []).filter((address) => !still.has(address)));
			// Every update, not only the first: a route that something else removed comes back.
			routes.push(...peer.addresses);
			paths.setPeer(peer.key, {
				candidates: peer.endpoints,
				relayOnly: peer.info.relay_only || relayOnly,
				probes: peer.info.software_version?.startsWith("warren/") === true,
				hardNat: peer.info.nat === "hard",
				directOnly: peer.info.parent === peerId,
			});
		}
		await host.apply({ routes, removeRoutes });
	}

	/** @returns whether the device takes him; one that it refuses costs the others nothing. */
	#setPeer(peer: WantedPeer): boolean {
		try {
			// Without an endpoint: what roaming or the paths found is not overwritten by an older word.
			this.#deps.device.setPeer(peer.device);
			return true;
		} catch (failure) {
			this.#deps.logger.warn("a peer is left out", { peer: peer.info.peer_id, fault: messageOf(failure) });
			return false;
		}
	}

	/** @returns the addresses of those that went. */
	#removeAllBut(keys: ReadonlySet<WireGuardKey>): Ula[] {
		const { device, paths } = this.#deps;
		const gone = this.all().filter((peer) => !keys.has(peer.key));
		for (const peer of gone) {
			device.removePeer(peer.device.publicKey);
			paths.removePeer(peer.key);
			this.#applied.delete(peer.key);
		}
		return gone.flatMap((peer) => peer.addresses);
	}

	#setRules(wanted: readonly WantedPeer[]): void {
		const rules = rulesFor(wanted);
		const text = JSON.stringify(rules);
		if (text === this.#rules) return;
		this.#deps.device.setRules(rules);
		// Only now: rules that were refused are not in force, and nobody is let in by the next roster without them.
		this.#rules = text;
	}
}

function isSame(before: WantedPeer, now: WantedPeer): boolean {
	return JSON.stringify(before.info) === JSON.stringify(now.info) && before.addresses.join() === now.addresses.join();
}
