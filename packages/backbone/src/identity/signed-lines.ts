import type { Clock } from "@warren/kernel";
import { type CallerIdentity, identityLines } from "../protocol/identity-headers.ts";
import type { Principal } from "./principals.ts";
import type { SigningKey } from "./signing-key.ts";

export const signedLineLimits = {
	/** Identities whose lines are kept. */
	max: 5_000,
	jwtSeconds: 300,
	/** A JWT that is sent has at least this long to live… */
	jwtLeftMs: 120_000,
	/** …also when whoever asked for it keeps it for so long. */
	rememberedMs: 30_000,
} as const;

/**
 * The header lines of an identity with their JWT, by everything they say: an assertion or URL token of the same person
 * costs no signature.
 */
export class SignedLines {
	readonly #signer: Pick<SigningKey, "sign">;
	readonly #issuer: string;
	readonly #clock: Clock;
	readonly #kept = new Map<string, { readonly lines: string; readonly until: number }>();

	constructor(signer: Pick<SigningKey, "sign">, issuer: string, clock: Clock) {
		this.#signer = signer;
		this.#issuer = issuer;
		this.#clock = clock;
	}

	/** What they say is their key, key_version included: nothing of before a change can be found after it. */
	of(principal: Principal, service: string, identity: CallerIdentity): string {
		const said = JSON.stringify([principal.key_version, service, Object.values(identity)]);
		const kept = this.#kept.get(said);
		if (kept !== undefined && kept.until > this.#clock.now()) return kept.lines;
		const now = Math.floor(this.#clock.now() / 1000);
		const jwt = this.#signer.sign({
			iss: this.#issuer,
			aud: service,
			sub: identity.sub,
			name: identity.name,
			email: identity.email,
			...(identity.subId === null
				? {}
				: {
						sub_id: identity.subId,
						registered_name: identity.registeredName,
						registered_email: identity.registeredEmail,
					}),
			iat: now,
			exp: now + signedLineLimits.jwtSeconds,
		});
		const lines = identityLines(identity, jwt);
		this.#kept.delete(said);
		if (this.#kept.size >= signedLineLimits.max) {
			const [oldest] = this.#kept.keys();
			this.#kept.delete(oldest as string);
		}
		this.#kept.set(said, {
			lines,
			until: (now + signedLineLimits.jwtSeconds) * 1000 - signedLineLimits.jwtLeftMs - signedLineLimits.rememberedMs,
		});
		return lines;
	}

	clear(): void {
		this.#kept.clear();
	}
}
