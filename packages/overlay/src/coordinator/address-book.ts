import { maxPeerIndex, networkHash, peerIndexOf, peerUla } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId, Ula, WireGuardKey } from "../protocol/peer-record.ts";

/** Who has which address: kept for good, so that a key finds its own again. */
export interface AddressEntry {
	readonly key: WireGuardKey;
	readonly peerId: OverlayPeerId;
	readonly network: string;
	readonly ula: Ula;
	/** Whose it is: a certificate's or a token's subject; empty in insecure mode. */
	readonly holder: string;
	/** As its token or certificate said when it was admitted. */
	readonly tags: readonly string[];
	/** An administrator removed it: it stays out. */
	readonly removed: boolean;
}

/** Where entries outlive the process. Writes are on disk when they return. */
export interface AddressStore {
	load(): Iterable<AddressEntry>;
	/** @param replaced keys that are forgotten with it: all of it is kept, or nothing. */
	save(entry: AddressEntry, replaced?: readonly WireGuardKey[]): void;
	forget(key: WireGuardKey): void;
}

/** No state folder: joiners bring their address back themselves. */
export const noAddressStore: AddressStore = { load: () => [], save() {}, forget() {} };

/** Gives out addresses, from index 1 of each network; the same key has the same address for good. */
export class AddressBook {
	readonly #store: AddressStore;
	readonly #byKey = new Map<WireGuardKey, AddressEntry>();
	readonly #byAddress = new Map<Ula, WireGuardKey>();
	readonly #byHolder = new Map<string, WireGuardKey>();
	/** Of stock clients, by whoever they stand behind; the first to come first. */
	readonly #byParent = new Map<string, Set<WireGuardKey>>();
	/** Where to look for a free index next, by network hash: two networks of one hash share their addresses. */
	readonly #next = new Map<number, number>();

	constructor(store: AddressStore) {
		this.#store = store;
		for (const entry of store.load()) this.#index(entry);
	}

	get size(): number {
		return this.#byKey.size;
	}

	entries(): Iterable<AddressEntry> {
		return this.#byKey.values();
	}

	ofKey(key: WireGuardKey): AddressEntry | undefined {
		return this.#byKey.get(key);
	}

	ofAddress(ula: Ula): AddressEntry | undefined {
		const key = this.#byAddress.get(ula);
		return key === undefined ? undefined : this.#byKey.get(key);
	}

	ofHolder(holder: string): AddressEntry | undefined {
		const key = this.#byHolder.get(holder);
		return key === undefined ? undefined : this.#byKey.get(key);
	}

	/** Stock clients that stood behind this peer, here or away. */
	childrenOf(parent: AddressEntry): AddressEntry[] {
		return [...(this.#byParent.get(nameOf(parent)) ?? [])].flatMap((key) => this.#byKey.get(key) ?? []);
	}

	/** @throws WarrenError `exhausted`. */
	free(network: string): Ula {
		const hash = networkHash(network);
		const from = this.#next.get(hash) ?? 1;
		for (let tried = 0; tried < maxPeerIndex; tried++) {
			const index = ((from - 1 + tried) % maxPeerIndex) + 1;
			const ula = peerUla(network, index);
			if (this.#byAddress.has(ula)) continue;
			this.#next.set(hash, index + 1);
			return ula;
		}
		throw overlayError("exhausted", `All ${maxPeerIndex} addresses of the network "${network}" are given out.`);
	}

	/**
	 * What cannot be written is not so: the next try writes it.
	 * @param replaced what is forgotten for it. @throws Error of the store.
	 */
	put(entry: AddressEntry, ...replaced: readonly AddressEntry[]): void {
		const gone = replaced.map(({ key }) => key).filter((key) => key !== entry.key);
		this.#store.save(entry, gone);
		for (const key of [entry.key, ...gone]) {
			const before = this.#byKey.get(key);
			if (before !== undefined) this.#unindex(before);
		}
		this.#index(entry);
	}

	/** @throws Error of the store. */
	forget(key: WireGuardKey): void {
		const entry = this.#byKey.get(key);
		if (entry === undefined) return;
		this.#store.forget(key);
		this.#unindex(entry);
	}

	#index(entry: AddressEntry): void {
		this.#byKey.set(entry.key, entry);
		this.#byAddress.set(entry.ula, entry.key);
		if (entry.holder !== "") this.#byHolder.set(entry.holder, entry.key);
		const parent = parentIn(entry);
		if (parent !== null) this.#byParent.set(parent, (this.#byParent.get(parent) ?? new Set()).add(entry.key));
	}

	#unindex(entry: AddressEntry): void {
		this.#byKey.delete(entry.key);
		if (this.#byAddress.get(entry.ula) === entry.key) this.#byAddress.delete(entry.ula);
		if (this.#byHolder.get(entry.holder) === entry.key) this.#byHolder.delete(entry.holder);
		const parent = parentIn(entry) ?? "";
		const children = this.#byParent.get(parent);
		children?.delete(entry.key);
		if (children?.size === 0) this.#byParent.delete(parent);
		const hash = networkHash(entry.network);
		const index = peerIndexOf(entry.network, entry.ula);
		if (index !== null && index < (this.#next.get(hash) ?? 1)) this.#next.set(hash, index);
	}
}

/** Whose a stock client's entry is: the one that it stands behind, and its own key. */
export function childHolder(parent: AddressEntry, key: WireGuardKey): string {
	return `child:${nameOf(parent)}:${key}`;
}

/** Null for a machine of its own. */
function parentIn({ holder, key }: AddressEntry): string | null {
	return holder.startsWith("child:") ? holder.slice("child:".length, -(key.length + 1)) : null;
}

const nameOf = ({ holder, key }: AddressEntry): string => holder || key;
