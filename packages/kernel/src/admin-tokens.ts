import type { Clock } from "./clock.ts";
import type { Authenticator } from "./identity.ts";
import { RateLimit } from "./rate-limit.ts";
import { equalSecrets, hashToken } from "./secrets.ts";

const failures = { perSecond: 0.2, burst: 10, maxKeys: 10_000 };

/** A role's administrators by their tokens, kept as their hashes. @param name of the role, as the audit shows it. */
export function adminAuthenticator(tokenHashes: readonly string[], clock: Clock, name: string): Authenticator {
	const tries = new RateLimit(clock, failures);
	return {
		kinds: ["admin"],
		async authenticate(credential, { remoteAddress }) {
			if (credential.scheme !== "bearer") return null;
			const waitMs = tries.waitMs(remoteAddress);
			if (waitMs > 0)
				return {
					ok: false,
					reason: "limited",
					message: "Too many wrong tokens from this address.",
					retryAfterMs: waitMs,
				};
			const given = hashToken(credential.token);
			if (tokenHashes.some((hash) => equalSecrets(given, hash)))
				return { ok: true, kind: "admin", identity: { kind: "operator", name } };
			tries.take(remoteAddress);
			return null;
		},
	};
}
