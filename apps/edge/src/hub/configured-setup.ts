import { hubSetupLimits, type SetupSecret } from "@warren/accounts";
import { type Clock, equalSecrets, hashToken, RateLimit } from "@warren/kernel";

/**
 * The setup secret that whoever deployed the hub chose. It makes one account, the owner's; from then on the accounts ask
 * for invitations and it opens nothing.
 */
export class ConfiguredSetup implements SetupSecret {
	readonly #hash: string | null;
	readonly #limit: RateLimit;
	#spent = false;

	/** @param secret null: there is none. */
	constructor(secret: string | null, clock: Clock) {
		this.#hash = secret === null ? null : hashToken(secret);
		this.#limit = new RateLimit(clock, hubSetupLimits.perAddress);
	}

	verify: SetupSecret["verify"] = async (secret, remoteAddress) => {
		const retryAfterMs = this.#limit.take(remoteAddress);
		if (retryAfterMs > 0)
			return { ok: false, reason: "limited", message: `Too many tries from ${remoteAddress}.`, retryAfterMs };
		if (!this.#fits(secret))
			return { ok: false, reason: "invalid", message: "This is not the setup secret of this hub." };
		this.#limit.forgive(remoteAddress);
		return { ok: true, kind: "setup", identity: { kind: "operator", name: "setup" } };
	};

	/** Of two that come at once, one wins: all of a hub's requests meet in one object. */
	async spend(secret: string): Promise<boolean> {
		if (!this.#fits(secret)) return false;
		this.#spent = true;
		return true;
	}

	async restore(): Promise<void> {
		this.#spent = false;
	}

	#fits(secret: string): boolean {
		return !this.#spent && this.#hash !== null && equalSecrets(this.#hash, hashToken(secret));
	}
}
