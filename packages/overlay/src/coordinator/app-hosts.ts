import type { OverlayPeerId, Ula } from "../protocol/peer-record.ts";

/**
 * Which peer serves which app, within a network. The first to claim an address has it until it lets go or leaves, then
 * the next: a peer cannot take a running app's traffic by claiming its address as well, and a move hands it on.
 */
export class AppHosts {
	readonly #claims = new Map<string, OverlayPeerId[]>();
	readonly #byPeer = new Map<OverlayPeerId, { readonly network: string; readonly apps: readonly Ula[] }>();

	/** Replaces what this peer claims. @returns peers whose apps changed. */
	claim(peer: OverlayPeerId, network: string, apps: readonly Ula[]): Set<OverlayPeerId> {
		const changed = this.#letGo(peer, new Set(apps));
		for (const app of apps) {
			const key = `${network} ${app}`;
			const claims = this.#claims.get(key);
			if (claims === undefined) {
				this.#claims.set(key, [peer]);
				changed.add(peer);
			} else if (!claims.includes(peer)) claims.push(peer);
		}
		if (apps.length > 0) this.#byPeer.set(peer, { network, apps });
		return changed;
	}

	release(peer: OverlayPeerId): Set<OverlayPeerId> {
		const changed = this.#letGo(peer, new Set());
		changed.delete(peer);
		return changed;
	}

	/** Those that are this peer's now. */
	of(peer: OverlayPeerId): Ula[] {
		const claimed = this.#byPeer.get(peer);
		return claimed === undefined
			? []
			: claimed.apps.filter((app) => this.#claims.get(`${claimed.network} ${app}`)?.[0] === peer);
	}

	#letGo(peer: OverlayPeerId, keep: ReadonlySet<Ula>): Set<OverlayPeerId> {
		const changed = new Set<OverlayPeerId>();
		const claimed = this.#byPeer.get(peer);
		if (claimed === undefined) return changed;
		this.#byPeer.delete(peer);
		for (const app of claimed.apps) {
			if (keep.has(app)) continue;
			const key = `${claimed.network} ${app}`;
			const claims = this.#claims.get(key) ?? [];
			const left = claims.filter((each) => each !== peer);
			if (claims[0] === peer) {
				changed.add(peer);
				if (left[0] !== undefined) changed.add(left[0]);
			}
			if (left.length === 0) this.#claims.delete(key);
			else this.#claims.set(key, left);
		}
		return changed;
	}
}
