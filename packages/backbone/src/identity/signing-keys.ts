import { type Clock, type Closeable, delay } from "@warren/kernel";
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
	/** Kept when it resolves. @returns false when another node has changed them meanwhile: `reload` gives those. */
	readonly save: (keys: readonly StoredSigningKey[]) => Promise<boolean>;
	/** What stands now, of several nodes; null = this is the only one. */
	readonly reload: (() => Promise<readonly StoredSigningKey[]>) | null;
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
	readonly #store: SigningKeyStore;
	/** Tells the other nodes. */
	readonly #changed: () => void;
	readonly #fault: (thrown: unknown) => void;
	readonly #ending = new AbortController();
	#held: readonly Held[];
	#rotating: Promise<unknown> = Promise.resolve();

	constructor(
		clock: Clock,
		store: SigningKeyStore,
		hears: { readonly changed?: () => void; readonly fault?: (thrown: unknown) => void } = {},
	) {
		this.#clock = clock;
		this.#store = store;
		this.#changed = hears.changed ?? (() => {});
		this.#fault = hears.fault ?? (() => {});
		this.#held = heldOf(store.keys);
	}

	/** Changes keys by itself from now on. */
	start(): void {
		const watch = async () => {
			for (;;) {
				// Nodes whose tables are away sign with what they have; an hour is long enough to hear of a new key.
				await this.#settle().catch(this.#fault);
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
		return { keys: this.#standing().map(({ key }) => key.jwk) };
	}

	/** Another node has changed them, or may have. @throws WarrenError of the store. */
	async reload(): Promise<void> {
		const stored = await this.#store.reload?.();
		if (stored !== undefined) this.#held = heldOf(stored);
	}

	/**
	 * A new key, which signs in an hour. One that waits already is that one, whichever node made it.
	 * @returns its name, and from when it signs.
	 */
	rotate(): Promise<{ readonly kid: string; readonly from: number }> {
		const rotated = this.#rotating.then(() => this.#rotate());
		this.#rotating = rotated.catch(() => {});
		return rotated;
	}

	async #rotate(): Promise<{ readonly kid: string; readonly from: number }> {
		for (;;) {
			await this.reload();
			const waiting = this.#held.find(({ from }) => from > this.#clock.now());
			if (waiting !== undefined) return { kid: waiting.key.kid, from: waiting.from };
			const stored = { pem: SigningKey.generate(), from: this.#clock.now() + signingKeyLimits.aheadMs };
			const made = { ...stored, key: new SigningKey(stored.pem) };
			const held = [...this.#standing(), made];
			// First kept: nobody may learn of a key that a restart would forget.
			if (!(await this.#store.save(held.map(({ pem, from }) => ({ pem, from }))))) continue;
			this.#held = held;
			this.#changed();
			return { kid: made.key.kid, from: made.from };
		}
	}

	close(): void {
		this.#ending.abort(new Error("closed"));
	}

	/** The newest that signs already. */
	#current(): Held {
		const now = this.#clock.now();
		return this.#held.findLast(({ from }) => from <= now) ?? (this.#held[0] as Held);
	}

	async #settle(): Promise<void> {
		await this.reload();
		const { from } = this.#current();
		if (this.#clock.now() - from > signingKeyLimits.lifeMs - signingKeyLimits.aheadMs) await this.rotate();
		const standing = this.#standing();
		// What is over is dropped from disk as well; nodes that share leave that to the next rotation.
		if (standing.length === this.#held.length || this.#store.reload !== null) return;
		await this.#store.save(standing.map(({ pem, from: since }) => ({ pem, from: since })));
		this.#held = standing;
	}

	/** Without those whose successor has signed for long enough. */
	#standing(): readonly Held[] {
		const now = this.#clock.now();
		return this.#held.filter((_each, index) => {
			const next = this.#held[index + 1];
			return next === undefined || now < next.from + signingKeyLimits.afterMs;
		});
	}
}

function heldOf(keys: readonly StoredSigningKey[]): readonly Held[] {
	return keys.map((each) => ({ ...each, key: new SigningKey(each.pem) }));
}
