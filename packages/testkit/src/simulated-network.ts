import type { SeededRandom } from "./seeded-random.ts";
import type { VirtualClock } from "./virtual-clock.ts";

export interface SimulatedAddress {
	readonly address: string;
	readonly port: number;
}

/**
 * What stands between a host and the network.
 *
 *   none       a public address
 *   cone       one outside port for all destinations; lets in only whom it was sent to (port-restricted)
 *   symmetric  another outside port for each destination; lets in only that one
 */
export type NatKind = "none" | "cone" | "symmetric";

interface Nat {
	readonly kind: NatKind;
	readonly address: string;
	readonly mappings: Map<
		string,
		{ readonly outside: number; readonly inside: SimulatedAddress; readonly allowed: Map<string, number> }
	>;
	nextPort: number;
}

export interface SimulatedHost {
	readonly address: string;
	send(bytes: Uint8Array, fromPort: number, to: SimulatedAddress): void;
	onDatagram(handler: (bytes: Uint8Array, from: SimulatedAddress, toPort: number) => void): void;
}

/** UDP between hosts behind NATs, on a virtual clock. NATs forget after 30 s and do no hairpin: that is what breaks programs. */
export class SimulatedNetwork {
	readonly #clock: VirtualClock;
	readonly #random: SeededRandom;
	readonly #handlers = new Map<string, (bytes: Uint8Array, from: SimulatedAddress, toPort: number) => void>();
	readonly #nats = new Map<string, Nat>();
	readonly #natOf = new Map<string, Nat>();
	/** One way, milliseconds. */
	latencyMs = 10;
	/** 0 to 1. */
	loss = 0;
	/** UDP payload bytes; larger ones vanish. */
	maxPayloadBytes = 65_507;
	readonly #blocked = new Set<string>();
	static readonly mappingMs = 30_000;

	constructor(clock: VirtualClock, random: SeededRandom) {
		this.#clock = clock;
		this.#random = random;
	}

	/** @param nat its outside address; hosts with the same one share the NAT and reach each other inside. */
	addHost(
		address: string,
		nat: { readonly kind: NatKind; readonly address: string } = { kind: "none", address: "" },
	): SimulatedHost {
		if (nat.kind !== "none") {
			const known = this.#nats.get(nat.address) ?? {
				...nat,
				mappings: new Map(),
				nextPort: 20_000 + this.#random.integer(10_000),
			};
			this.#nats.set(nat.address, known);
			this.#natOf.set(address, known);
		}
		return {
			address,
			send: (bytes, fromPort, to) => this.#send({ address, port: fromPort }, to, Uint8Array.from(bytes)),
			onDatagram: (handler) => void this.#handlers.set(address, handler),
		};
	}

	/** Nothing passes between the two (outside) addresses any more, or again. */
	block(a: string, b: string, blocked = true): void {
		for (const pair of [`${a} ${b}`, `${b} ${a}`]) {
			if (blocked) this.#blocked.add(pair);
			else this.#blocked.delete(pair);
		}
	}

	/** A NAT that was restarted: it has forgotten everything, and gives other ports. */
	forget(natAddress: string): void {
		const nat = this.#nats.get(natAddress);
		nat?.mappings.clear();
		if (nat !== undefined) nat.nextPort += 1_000;
	}

	#send(from: SimulatedAddress, to: SimulatedAddress, bytes: Uint8Array): void {
		if (bytes.length > this.maxPayloadBytes || this.#random.fraction() < this.loss) return;
		const nat = this.#natOf.get(from.address);
		const inside = nat !== undefined && this.#natOf.get(to.address) === nat;
		const source = nat === undefined || inside ? from : this.#translate(nat, from, to);
		if (this.#blocked.has(`${source.address} ${to.address}`)) return;
		this.#clock.after(this.latencyMs, () => this.#arrive(source, to, bytes, inside));
	}

	#translate(nat: Nat, from: SimulatedAddress, to: SimulatedAddress): SimulatedAddress {
		const key = nat.kind === "symmetric" ? `${text(from)} ${text(to)}` : text(from);
		let mapping = nat.mappings.get(key);
		if (mapping === undefined || !this.#isFresh(mapping.allowed)) {
			mapping = { outside: nat.nextPort++, inside: from, allowed: new Map() };
			nat.mappings.set(key, mapping);
		}
		mapping.allowed.set(text(to), this.#clock.monotonic() + SimulatedNetwork.mappingMs);
		return { address: nat.address, port: mapping.outside };
	}

	#arrive(from: SimulatedAddress, to: SimulatedAddress, bytes: Uint8Array, inside: boolean): void {
		const nat = this.#nats.get(to.address);
		if (nat === undefined) {
			// A private address is reached from beside it alone.
			if (this.#natOf.has(to.address) && !inside) return;
			this.#handlers.get(to.address)?.(bytes, from, to.port);
			return;
		}
		// No hairpin: what comes from the NAT's own outside address is dropped.
		if (from.address === nat.address) return;
		for (const mapping of nat.mappings.values()) {
			if (mapping.outside !== to.port || (mapping.allowed.get(text(from)) ?? 0) < this.#clock.monotonic()) continue;
			this.#handlers.get(mapping.inside.address)?.(bytes, from, mapping.inside.port);
		}
	}

	#isFresh(allowed: ReadonlyMap<string, number>): boolean {
		return [...allowed.values()].some((until) => until >= this.#clock.monotonic());
	}
}

function text({ address, port }: SimulatedAddress): string {
	return `${address} ${port}`;
}
