import { type Clock, type Closeable, delay } from "@warren/kernel";
import { backboneError } from "../errors.ts";
import { type Jwk, SigningKey } from "./signing-key.ts";

/** A key as it is kept. A secret. */
export interface StoredSigningKey {
	/** PKCS #8 PEM. */
	readonly pem: string;
	/** Milliseconds since the epoch: it signs from then on. */
	readonly from: number;
}

export interface SigningKeyStore {
	/** Oldest first; at least one. */
	readonly keys: readonly StoredSigningKey[];
	/** On disk when it returns. Null = the key is given and shared: it is not replaced here. */
	readonly save: ((keys: readonly StoredSigningKey[]) => void) | null;
}

const hourMs = 3600_000;
export const signingKeyLimits = {
	/** A key signs for so long. */
	lifeMs: 90 * 24 * hourMs,
	/** Published so long before it signs: whoever fetched the set shortly before knows it. */
	aheadMs: hourMs,
	/** And for so long after its last signature: longer than any JWT and any cache lives. */
	afterMs: hourMs,
	checkMs: hourMs / 4,
} as const;

interface Held extends StoredSigningKey {
	readonly key: SigningKey;
}

/**
 * The keys behind `x-mosb-jwt`, one after the other:
 *
 *   published ──an hour──► signing ──90 days, or told──► published ──an hour──► gone
 */
export class SigningKeys implements Closeable {
	readonly #clock: Clock;
	readonly #save: SigningKeyStore["save"];
	readonly #ending = new AbortController();
	#held: Held[];

	constructor(clock: Clock, store: SigningKeyStore) {
		this.#clock = clock;
		this.#save = store.save;
		this.#held = store.keys.map((each) => ({ ...each, key: new SigningKey(each.pem) }));
	}

	/** Changes keys by itself from now on. */
	start(): void {
		if (this.#save === null) return;
		const watch = async () => {
			for (;;) {
				this.#settle();
				await delay(this.#clock, signingKeyLimits.checkMs, this.#ending.signal);
			}
		};
		watch().catch((fault: unknown) => {
			if (!this.#ending.signal.aborted) throw fault;
		});
	}

	sign(claims: Readonly<Record<string, unknown>>): string {
		return this.#current().key.sign(claims);
	}

	jwks(): { readonly keys: readonly Jwk[] } {
		this.#drop();
		return { keys: this.#held.map(({ key }) => key.jwk) };
	}

	/**
	 * A new key, which signs in an hour. One that waits already is that one.
	 * @returns its name, and from when it signs. @throws WarrenError `conflict` for a key that is given.
	 */
	rotate(): { readonly kid: string; readonly from: number } {
		if (this.#save === null)
			throw backboneError("conflict", "The nodes of a cluster share one signing key; no node replaces it.");
		const waiting = this.#held.find(({ from }) => from > this.#clock.now());
		if (waiting !== undefined) return { kid: waiting.key.kid, from: waiting.from };
		const stored = { pem: SigningKey.generate(), from: this.#clock.now() + signingKeyLimits.aheadMs };
		const made = { ...stored, key: new SigningKey(stored.pem) };
		this.#drop();
		const held = [...this.#held, made];
		// First on disk: nobody may learn of a key that a restart would forget.
		this.#save(held.map(({ pem, from }) => ({ pem, from })));
		this.#held = held;
		return { kid: made.key.kid, from: made.from };
	}

	close(): void {
		this.#ending.abort(new Error("closed"));
	}

	/** The newest that signs already. */
	#current(): Held {
		const now = this.#clock.now();
		return this.#held.findLast(({ from }) => from <= now) ?? (this.#held[0] as Held);
	}

	#settle(): void {
		if (this.#clock.now() - this.#current().from > signingKeyLimits.lifeMs - signingKeyLimits.aheadMs) this.rotate();
		this.#drop();
	}

	/** Those whose successor has signed for long enough. */
	#drop(): void {
		const now = this.#clock.now();
		const kept = this.#held.filter((_each, index) => {
			const next = this.#held[index + 1];
			return next === undefined || now < next.from + signingKeyLimits.afterMs;
		});
		if (kept.length === this.#held.length || this.#save === null) return;
		this.#held = kept;
		this.#save(kept.map(({ pem, from }) => ({ pem, from })));
	}
}
