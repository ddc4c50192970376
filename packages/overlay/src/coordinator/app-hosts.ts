import type { OverlayPeerId, Ula } from "../protocol/peer-record.ts";

/** What a peer says that it serves: each app's address, and the name that it goes by. */
export type AppClaims = ReadonlyMap<Ula, string | null>;

/**
 * Which peer serves which app, within a network, and which app goes by which name. The first to claim an address or a
 * name has it until it lets go or leaves, then the next: a peer cannot take a running app's traffic by claiming its
 * address or its name as well, and a move hands both on.
 */
export class AppHosts {
	readonly #addresses = new FirstClaims();
	readonly #names = new FirstClaims();
	readonly #byPeer = new Map<OverlayPeerId, AppClaims>();

	/** Replaces what this peer claims. @returns peers whose apps or names changed. */
	claim(peer: OverlayPeerId, network: string, apps: AppClaims): Set<OverlayPeerId> {
		const named = [...apps].filter(([, name]) => name !== null) as [Ula, string][];
		const changed = new Set([
			...this.#addresses.claim(peer, new Set([...apps.keys()].map((app) => `${network} ${app}`))),
			...this.#names.claim(peer, new Set(named.map(([, name]) => `${network} ${name}`))),
		]);
		const before = this.#byPeer.get(peer);
		// The same names, on other apps.
		if (before !== undefined && named.some(([app, name]) => before.get(app) !== name)) changed.add(peer);
		if (apps.size > 0) this.#byPeer.set(peer, apps);
		else this.#byPeer.delete(peer);
		return changed;
	}

	release(peer: OverlayPeerId): Set<OverlayPeerId> {
		const changed = this.claim(peer, "", new Map());
		changed.delete(peer);
		return changed;
	}

	/** Those that are this peer's now, and the names among them. */
	of(peer: OverlayPeerId, network: string): { readonly ulas: Ula[]; readonly names: Record<Ula, string> } {
		const claimed = [...(this.#byPeer.get(peer) ?? [])].filter(
			([app]) => this.#addresses.holder(`${network} ${app}`) === peer,
		);
		const names = claimed.filter(([, name]) => name !== null && this.#names.holder(`${network} ${name}`) === peer);
		return { ulas: claimed.map(([app]) => app), names: Object.fromEntries(names) as Record<Ula, string> };
	}
}

/** Keys with those who want each, in the order in which they came. */
class FirstClaims {
	readonly #claims = new Map<string, OverlayPeerId[]>();
	readonly #byPeer = new Map<OverlayPeerId, ReadonlySet<string>>();

	holder(key: string): OverlayPeerId | undefined {
		return this.#claims.get(key)?.[0];
	}

	/** Replaces what this peer wants. @returns who has another key now, or one less. */
	claim(peer: OverlayPeerId, keys: ReadonlySet<string>): Set<OverlayPeerId> {
		const changed = new Set<OverlayPeerId>();
		for (const key of this.#byPeer.get(peer) ?? []) {
			if (keys.has(key)) continue;
			const claims = this.#claims.get(key) ?? [];
			const left = claims.filter((each) => each !== peer);
			if (claims[0] === peer) {
				changed.add(peer);
				if (left[0] !== undefined) changed.add(left[0]);
			}
			if (left.length === 0) this.#claims.delete(key);
			else this.#claims.set(key, left);
		}
		for (const key of keys) {
			const claims = this.#claims.get(key);
			if (claims === undefined) {
				this.#claims.set(key, [peer]);
				changed.add(peer);
			} else if (!claims.includes(peer)) claims.push(peer);
		}
		if (keys.size > 0) this.#byPeer.set(peer, keys);
		else this.#byPeer.delete(peer);
		return changed;
	}
}
