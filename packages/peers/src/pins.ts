import type { Clock, Fingerprint } from "@warren/kernel";
import { parseFingerprint } from "@warren/net";
import type { Kysely } from "kysely";
import { addressKey, type PeerAddress } from "./address.ts";
import type { PeerTables } from "./schema.ts";

export interface Pin {
	readonly fingerprint: Fingerprint;
	readonly since: number;
}

export type PinCheck =
	| { readonly verdict: "match" }
	| { readonly verdict: "unknown" }
	/** `expected` is what is stored, also when that cannot be read: a malformed pin fits nothing. */
	| { readonly verdict: "mismatch"; readonly expected: string };

/** Trust on first use: the certificate that a peer showed at its first successful contact, until somebody says otherwise. */
export class Pins {
	readonly #db: Kysely<PeerTables>;
	readonly #clock: Clock;
	readonly #pins = new Map<string, { readonly stored: string; readonly since: number }>();

	private constructor(db: Kysely<PeerTables>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	static async open(db: Kysely<PeerTables>, clock: Clock): Promise<Pins> {
		const pins = new Pins(db, clock);
		for (const row of await db.selectFrom("peers_pins").selectAll().execute())
			pins.#pins.set(row.address, { stored: row.fingerprint, since: row.since });
		return pins;
	}

	get(address: PeerAddress): Pin | null {
		const pin = this.#pins.get(addressKey(address));
		return pin === undefined ? null : { fingerprint: pin.stored as Fingerprint, since: pin.since };
	}

	check(address: PeerAddress, shown: Fingerprint): PinCheck {
		const pin = this.#pins.get(addressKey(address));
		if (pin === undefined) return { verdict: "unknown" };
		return parseFingerprint(pin.stored) === shown
			? { verdict: "match" }
			: { verdict: "mismatch", expected: pin.stored };
	}

	/** Stores a pin where there is none; a standing one is never replaced this way. */
	async learn(address: PeerAddress, shown: Fingerprint): Promise<void> {
		const key = addressKey(address);
		if (this.#pins.has(key)) return;
		const since = this.#clock.now();
		// In memory first: of two first contacts at once, the second is checked against the first.
		this.#pins.set(key, { stored: shown, since });
		await this.#db
			.insertInto("peers_pins")
			.values({ address: key, fingerprint: shown, since })
			.onConflict((conflict) => conflict.doNothing())
			.execute();
	}

	/** Trusts exactly this one, whatever stood there. */
	async trust(address: PeerAddress, fingerprint: Fingerprint): Promise<Pin> {
		const row = { address: addressKey(address), fingerprint, since: this.#clock.now() };
		await this.#db
			.insertInto("peers_pins")
			.values(row)
			.onConflict((conflict) => conflict.column("address").doUpdateSet(row))
			.execute();
		this.#pins.set(row.address, { stored: fingerprint, since: row.since });
		return { fingerprint, since: row.since };
	}

	/** The next contact pins anew. */
	async forget(address: PeerAddress): Promise<void> {
		await this.#db.deleteFrom("peers_pins").where("address", "=", addressKey(address)).execute();
		this.#pins.delete(addressKey(address));
	}
}
