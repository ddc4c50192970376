/** How a mesh signs what it says, so that gateways carry it and cannot change it. Rules E1 to E4 of SPEC.md. */

export type Payload = Readonly<Record<string, unknown>>;

/** @returns whether the signature of this text is this key's; never throws for what somebody sent. */
export type Verify = (publicKey: string, text: string, signature: string) => boolean;

export type Opened =
	| { readonly kind: "unsigned" }
	| { readonly kind: "signed"; readonly key: string }
	| { readonly kind: "forged"; readonly why: string };

export const envelopeLimits = {
	maxDepth: 16,
	/** Ed25519, base64url of the raw 32 bytes. */
	keyLength: 43,
	/** base64url of the 64 bytes. */
	signatureLength: 86,
} as const;

/** What is signed: whose message it is, and all of the payload but the signature itself. Null = nested too deeply. */
export function envelopeText(meshId: string, payload: Payload): string | null {
	const { signed: _, ...rest } = payload;
	const json = canonicalJson(rest, envelopeLimits.maxDepth);
	return json === null ? null : `warren-envelope-v1\n${meshId}\n${json}`;
}

/** @param fromMeshId as the gateway says. */
export function openEnvelope(fromMeshId: string, payload: Payload, verify: Verify): Opened {
	const { signed } = payload;
	if (signed === undefined) return { kind: "unsigned" };
	if (typeof signed !== "object" || signed === null) return { kind: "forged", why: "its signature is malformed" };
	const { key, signature } = signed as Record<string, unknown>;
	const whole =
		typeof key === "string" &&
		typeof signature === "string" &&
		key.length === envelopeLimits.keyLength &&
		signature.length === envelopeLimits.signatureLength;
	if (!whole) return { kind: "forged", why: "its signature is malformed" };
	const text = envelopeText(fromMeshId, payload);
	if (text === null) return { kind: "forged", why: `it is nested deeper than ${envelopeLimits.maxDepth} levels` };
	return verify(key, text, signature)
		? { kind: "signed", key }
		: { kind: "forged", why: "its signature is not of this text and mesh" };
}

/**
 * JSON of one spelling (RFC 8785): members by their names' code units, numbers and strings as ECMAScript writes them. A
 * gateway may parse and write a payload again, which keeps its value and not its bytes. Null = nested too deeply.
 */
export function canonicalJson(value: unknown, maxDepth: number): string | null {
	if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
	if (maxDepth === 0) return null;
	const parts: string[] = [];
	if (Array.isArray(value)) {
		for (const each of value) {
			const json = canonicalJson(each, maxDepth - 1);
			if (json === null) return null;
			parts.push(json);
		}
		return `[${parts.join(",")}]`;
	}
	for (const [name, each] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
		if (each === undefined) continue;
		const json = canonicalJson(each, maxDepth - 1);
		if (json === null) return null;
		parts.push(`${JSON.stringify(name)}:${json}`);
	}
	return `{${parts.join(",")}}`;
}
