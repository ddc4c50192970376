import { hash as hashOnce, randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/**
 * A mesh's secret at rest. Secrets that we made are random enough for one hash; those that people chose need a slow one,
 * with a salt.
 */
export type SecretHash =
	| { readonly kind: "sha256"; readonly hash: string }
	| { readonly kind: "scrypt"; readonly salt: string; readonly hash: string };

/** What `warren` makes: 256 bits. */
export const madeSecretPattern = /^wg_[A-Za-z0-9_-]{43}$/;

/** Slow hashes that may wait; each takes some 50 ms of one core. */
const maxWaiting = 64;
const cost = { N: 16384, r: 8, p: 1, maxmem: 32 * 1024 * 1024 };

/** Slow hashes, one at a time, so that a flood of logins leaves the threads to others. */
export class SecretHasher {
	#waiting = 0;
	#last: Promise<unknown> = Promise.resolve();

	get isBusy(): boolean {
		return this.#waiting >= maxWaiting;
	}

	async hash(secret: string): Promise<SecretHash> {
		if (madeSecretPattern.test(secret)) return { kind: "sha256", hash: digest(secret).toString("base64url") };
		const salt = randomBytes(16).toString("base64url");
		return { kind: "scrypt", salt, hash: (await this.#slow(secret, salt)).toString("base64url") };
	}

	/** @param hash null = there is no such mesh: it takes as long. */
	async matches(secret: string, hash: SecretHash | null): Promise<boolean> {
		if (hash === null) {
			if (!madeSecretPattern.test(secret)) await this.#slow(secret, "none");
			return false;
		}
		const shown = hash.kind === "sha256" ? digest(secret) : await this.#slow(secret, hash.salt);
		return timingSafeEqual(shown, Buffer.from(hash.hash, "base64url"));
	}

	#slow(secret: string, salt: string): Promise<Buffer> {
		this.#waiting += 1;
		const next = this.#last.then(
			() =>
				new Promise<Buffer>((resolve, reject) =>
					scrypt(secret, salt, 32, cost, (failure, key) => (failure === null ? resolve(key) : reject(failure))),
				),
		);
		this.#last = next.then(
			() => (this.#waiting -= 1),
			() => (this.#waiting -= 1),
		);
		return next;
	}
}

function digest(secret: string): Buffer {
	return hashOnce("sha256", secret, "buffer");
}
