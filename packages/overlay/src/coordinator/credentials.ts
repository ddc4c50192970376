import { X509Certificate } from "node:crypto";
import {
	type Authenticator,
	type Clock,
	equalSecrets,
	hashToken,
	type Identity,
	type NodeId,
	RateLimit,
} from "@warren/kernel";
import { tagPattern } from "../protocol/policy.ts";

/** Names in a peer's certificate, beside its subject: `urn:warren:peer:ID`, `urn:warren:tag:TAG`. */
export const peerUrn = "urn:warren:peer:";
export const tagUrn = "urn:warren:tag:";

/** Who a certificate stands for. */
export interface CertificateFacts {
	/** Its `urn:warren:peer:` name, which a renewal keeps; without one, its public key's SHA-256. */
	readonly holder: string;
	readonly name: string;
	readonly tags: readonly string[];
	readonly serialNumber: string;
	/** Milliseconds since the Unix epoch. */
	readonly notBefore: number;
	readonly notAfter: number;
}

/** @throws Error when the bytes are no certificate. */
export function readCertificate(der: Uint8Array): CertificateFacts {
	const certificate = new X509Certificate(der);
	const uris = [...(certificate.subjectAltName ?? "").matchAll(/(?:^|, )URI:([^,"]+)/g)].map(
		(match) => match[1] as string,
	);
	const peer = uris.find((uri) => uri.startsWith(peerUrn));
	return {
		holder: peer ?? `spki:${hashToken(certificate.publicKey.export({ type: "spki", format: "pem" }) as string)}`,
		name: /(?:^|\n)CN=(.*)/.exec(certificate.subject)?.[1] ?? "",
		tags: uris
			.filter((uri) => uri.startsWith(tagUrn))
			.map((uri) => uri.slice(tagUrn.length))
			.filter((tag) => tagPattern.test(tag)),
		serialNumber: certificate.serialNumber.toLowerCase(),
		notBefore: Date.parse(certificate.validFrom),
		notAfter: Date.parse(certificate.validTo),
	};
}

/** TLS looks when a connection begins, and a session that is resumed passes it by: here each request is looked at. */
function untimelyIn({ name, notBefore, notAfter }: CertificateFacts, now: number): string | null {
	const clock = `the coordinator's clock says ${new Date(now).toISOString()}`;
	if (now > notAfter) return `The certificate of "${name}" ended on ${new Date(notAfter).toISOString()}, and ${clock}.`;
	return now < notBefore
		? `The certificate of "${name}" begins on ${new Date(notBefore).toISOString()}, and ${clock}.`
		: null;
}

export interface Revocations {
	isRevoked(serialNumber: string): boolean;
}

const maxRemembered = 20_000;

/** Machines by their certificates, administrators by their token. */
export class CoordinatorCredentials implements Authenticator {
	readonly kinds = ["node", "admin"] as const;
	readonly #clock: Clock;
	readonly #adminTokenHashes: readonly string[];
	readonly #revocations: Revocations;
	readonly #wrongTokens: RateLimit;
	readonly #byFingerprint = new Map<string, CertificateFacts>();
	readonly #facts = new WeakMap<Identity, CertificateFacts>();

	/** @param adminTokenHashes `hashToken` of each; none = nobody administers by HTTP. */
	constructor(clock: Clock, adminTokenHashes: readonly string[], revocations: Revocations) {
		this.#clock = clock;
		this.#adminTokenHashes = adminTokenHashes;
		this.#revocations = revocations;
		this.#wrongTokens = new RateLimit(clock, { perSecond: 0.2, burst: 10, maxKeys: 10_000 });
	}

	/** Of an identity that this authenticator made. */
	factsOf(identity: Identity | null): CertificateFacts | null {
		return identity === null ? null : (this.#facts.get(identity) ?? null);
	}

	async authenticate(
		...[credential, context]: Parameters<Authenticator["authenticate"]>
	): ReturnType<Authenticator["authenticate"]> {
		if (credential.scheme === "bearer") {
			const retryAfterMs = this.#wrongTokens.waitMs(context.remoteAddress);
			if (retryAfterMs > 0)
				return {
					ok: false,
					reason: "limited",
					message: `Too many wrong tokens from ${context.remoteAddress}.`,
					retryAfterMs,
				};
			const offered = hashToken(credential.token);
			if (this.#adminTokenHashes.some((each) => equalSecrets(offered, each)))
				return { ok: true, kind: "admin", identity: { kind: "operator", name: "administrator" } };
			this.#wrongTokens.take(context.remoteAddress);
			return { ok: false, reason: "invalid", message: "The administrator's token is not this one." };
		}
		if (credential.scheme !== "certificate") return null;
		let facts = this.#byFingerprint.get(credential.fingerprint);
		if (facts === undefined) {
			facts = readCertificate(credential.der);
			if (this.#byFingerprint.size >= maxRemembered) this.#byFingerprint.clear();
			this.#byFingerprint.set(credential.fingerprint, facts);
		}
		if (this.#revocations.isRevoked(facts.serialNumber))
			return {
				ok: false,
				reason: "forbidden",
				message: `The certificate ${facts.serialNumber} of "${facts.name}" is revoked.`,
			};
		const untimely = untimelyIn(facts, this.#clock.now());
		if (untimely !== null) return { ok: false, reason: "forbidden", message: untimely };
		const identity: Identity = { kind: "node", nodeId: facts.holder as NodeId, name: facts.name };
		this.#facts.set(identity, facts);
		return { ok: true, kind: "node", identity };
	}
}
