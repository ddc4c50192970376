import { X509Certificate } from "node:crypto";
import { defineErrors, messageOf } from "@warren/kernel";
import { fingerprintOf, parseFingerprint } from "@warren/net";
import { Agent, request } from "undici";

export const loginError = defineErrors({
	bad_url: { status: 400, fix: "Give the hub's address, like https://burrow.local:3914." },
	untrusted_hub: { status: 502 },
	hub_unreachable: { status: 503, retryable: true, fix: "Is the hub running there?" },
	hub_refused: { status: 502 },
	login_denied: { status: 403 },
	login_expired: { status: 408, fix: "Run warren login again." },
	not_signed_in: { status: 401, fix: "Sign in with: warren login https://HUB:PORT" },
});

const limits = { connectMs: 5_000, answerMs: 15_000, maxAnswerBytes: 64 * 1024 } as const;

/** A hub's address, and the CA (PEM) that vouches for it; null = the system's, or plain HTTP on loopback. */
export interface TrustedHub {
	readonly hubUrl: string;
	readonly ca: string | null;
}

/** @param ca null = what the system trusts. */
export function hubAgent(ca: string | null): Agent {
	return new Agent({
		connect: { timeout: limits.connectMs, ...(ca === null ? {} : { ca }) },
		headersTimeout: limits.answerMs,
		bodyTimeout: limits.answerMs,
		maxResponseSize: limits.maxAnswerBytes,
	});
}

/**
 * Finds out which of the CAs at hand vouches for a hub, before anything secret is sent.
 * @param known PEM; the system's are asked last. @param fingerprint of the hub's CA, from its console.
 * @throws WarrenError `untrusted_hub`, `hub_unreachable`.
 */
export async function trustHub(url: URL, known: readonly string[], fingerprint: string | null): Promise<TrustedHub> {
	const hubUrl = url.origin;
	if (fingerprint !== null) known = [await fetchAuthority(hubUrl, fingerprint)];
	for (const ca of [...known, null]) {
		const agent = hubAgent(ca);
		try {
			const answer = await request(`${hubUrl}/`, { dispatcher: agent, headers: { accept: "application/json" } });
			await answer.body.dump();
			return { hubUrl, ca: url.protocol === "http:" ? null : ca };
		} catch (cause) {
			if (!isTrustFault(cause))
				throw loginError("hub_unreachable", `The hub at ${hubUrl} does not answer: ${messageOf(cause)}.`, { cause });
		} finally {
			await agent.destroy();
		}
	}
	throw loginError("untrusted_hub", `Nothing here vouches for the certificate of ${hubUrl}.`, {
		fix: `Compare the CA SHA-256 that its console printed, then: warren login ${hubUrl} --fingerprint SHA256`,
	});
}

/** The hub's CA as it hands it out, believed for its fingerprint alone. */
async function fetchAuthority(hubUrl: string, fingerprint: string): Promise<string> {
	const wanted = parseFingerprint(fingerprint);
	if (wanted === null)
		throw loginError("bad_url", `"${fingerprint.slice(0, 80)}" is no fingerprint.`, {
			fix: "A fingerprint is a SHA-256: 64 hexadecimal digits, with or without colons.",
		});
	const agent = new Agent({
		connect: { timeout: limits.connectMs, rejectUnauthorized: false },
		maxResponseSize: limits.maxAnswerBytes,
	});
	try {
		const answer = await request(`${hubUrl}/ca.crt`, { dispatcher: agent, headersTimeout: limits.answerMs });
		const der = Buffer.from(await answer.body.arrayBuffer());
		const shown = answer.statusCode === 200 ? fingerprintOf(der) : null;
		if (shown !== wanted)
			throw loginError(
				"untrusted_hub",
				`The CA of ${hubUrl} has the fingerprint ${shown ?? "of none"}, not ${wanted}.`,
				{
					fix: "Compare it with what the hub's console printed. If they differ, somebody is in between.",
				},
			);
		return new X509Certificate(der).toString();
	} catch (cause) {
		if (cause instanceof Error && cause.name === "WarrenError") throw cause;
		throw loginError("hub_unreachable", `The hub at ${hubUrl} does not answer: ${messageOf(cause)}.`, { cause });
	} finally {
		await agent.destroy();
	}
}

/** OpenSSL's verdicts on a chain, and Node's on a name. */
function isTrustFault(fault: unknown): boolean {
	const code = (fault as { code?: string }).code ?? "";
	return /CERT|SELF_SIGNED|UNABLE_TO|ISSUER|ALTNAME/.test(code);
}
