import { type Authenticator, type Clock, equalSecrets, hashToken, RateLimit } from "@warren/kernel";

const failures = { perSecond: 0.2, burst: 10, maxKeys: 10_000 };

/** The administrators' tokens, kept as their hashes. */
export function adminAuthenticator(tokenHashes: readonly string[], clock: Clock): Authenticator {
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
				return { ok: true, kind: "admin", identity: { kind: "operator", name: "backbone" } };
			tries.take(remoteAddress);
			return null;
		},
	};
}
