import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from "node:crypto";
import { z } from "zod";
import { thumbprint } from "./device-key.ts";

export const ticketPrefix = "wt_";
const maxTicketLength = 2048;
/** Clocks of two machines may differ by this much. */
export const ticketSkewMs = 5 * 60_000;

/**
 * What a hub says to one node about one device. `wt_<payload>.<signature>`, both base64url; signed with Ed25519 over
 * `warren-ticket.v1.<payload>`.
 */
const payloadSchema = z.object({
	v: z.literal(1),
	/** Which of the hub's keys signed it. */
	kid: z.string(),
	ticketId: z.string(),
	userId: z.string(),
	deviceId: z.string(),
	/** The one audience. */
	node: z.string(),
	/** JWK thumbprint of the device's own key. */
	deviceKey: z.string(),
	/** Milliseconds since the Unix epoch. */
	iat: z.number(),
	exp: z.number(),
});
export type TicketPayload = z.infer<typeof payloadSchema>;

/** The hub's public key, as machines get it when they join. */
export const ticketKeySchema = z.object({
	kty: z.literal("OKP"),
	crv: z.literal("Ed25519"),
	x: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
	kid: z.string(),
});
export type TicketKey = z.infer<typeof ticketKeySchema>;

export type TicketVerdict =
	| { readonly ok: true; readonly payload: TicketPayload }
	| {
			readonly ok: false;
			readonly reason: "malformed" | "unknown-key" | "forged" | "other-node" | "expired" | "early" | "revoked";
			readonly message: string;
	  };

/** The hub's signing key. */
export class TicketSigner {
	readonly key: TicketKey;
	readonly #private: KeyObject;

	/** @param secret the hub's secret: the key is derived from it (HKDF, RFC 5869), so that there is one secret to keep. */
	constructor(secret: string) {
		const seed = Buffer.from(hkdfSync("sha256", secret, "", "warren device tickets v1", 32));
		// PKCS #8 of an Ed25519 key (RFC 8410 §7) is this head and the seed.
		const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
		this.#private = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
		const { x } = createPublicKey(this.#private).export({ format: "jwk" }) as { x: string };
		this.key = { kty: "OKP", crv: "Ed25519", x, kid: thumbprint({ kty: "OKP", crv: "Ed25519", x }) };
	}

	ticket(payload: Omit<TicketPayload, "v" | "kid">): string {
		return ticketPrefix + this.seal("warren-ticket.v1", { v: 1, kid: this.key.kid, ...payload });
	}

	/** @param purpose keeps one kind of statement from passing for another. */
	seal(purpose: string, statement: unknown): string {
		const payload = Buffer.from(JSON.stringify(statement)).toString("base64url");
		return `${payload}.${sign(null, Buffer.from(`${purpose}.${payload}`), this.#private).toString("base64url")}`;
	}
}

/** @returns the statement, or why it is none: its key is unknown, or its signature does not fit. */
export function unseal(
	purpose: string,
	sealed: string,
	keys: readonly TicketKey[],
):
	| { readonly ok: true; readonly statement: unknown }
	| { readonly ok: false; readonly reason: "malformed" | "unknown-key" | "forged" } {
	const match = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/.exec(sealed);
	if (match === null) return { ok: false, reason: "malformed" };
	const [, payload = "", signature = ""] = match;
	let statement: unknown;
	try {
		statement = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
	} catch {
		return { ok: false, reason: "malformed" };
	}
	const kid = (statement as { kid?: unknown } | null)?.kid;
	const key = keys.find((each) => each.kid === kid);
	if (key === undefined) return { ok: false, reason: "unknown-key" };
	const { kty, crv, x } = key;
	const publicKey = createPublicKey({ key: { kty, crv, x }, format: "jwk" });
	const fits = verify(null, Buffer.from(`${purpose}.${payload}`), publicKey, Buffer.from(signature, "base64url"));
	return fits ? { ok: true, statement } : { ok: false, reason: "forged" };
}

/**
 * What a node decides alone, with the hub away. Says nothing about possession of the device's key: `verifyProof` does.
 * @param now milliseconds since the Unix epoch. @param audience this node's identifier.
 */
export function verifyTicket(
	ticket: string,
	hubKeys: readonly TicketKey[],
	revocations: { has(ticketId: string): boolean },
	now: number,
	audience: string,
): TicketVerdict {
	if (!ticket.startsWith(ticketPrefix) || ticket.length > maxTicketLength)
		return no("malformed", "This is no device ticket.");
	const opened = unseal("warren-ticket.v1", ticket.slice(ticketPrefix.length), hubKeys);
	if (!opened.ok) {
		switch (opened.reason) {
			case "malformed":
				return no("malformed", "This is no device ticket.");
			case "unknown-key":
				return no("unknown-key", "This ticket is of a hub that this machine does not know.");
			case "forged":
				return no("forged", "This ticket was changed after the hub signed it.");
		}
	}
	const parsed = payloadSchema.safeParse(opened.statement);
	if (!parsed.success) return no("malformed", "This ticket is of another version.");
	const payload = parsed.data;
	if (payload.node !== audience) return no("other-node", "This ticket is for another machine.");
	if (payload.exp <= now) return no("expired", "This ticket has ended.");
	if (payload.iat > now + ticketSkewMs) {
		const minutes = Math.round((payload.iat - now) / 60_000);
		return no(
			"early",
			`This ticket is dated ${minutes} minutes ahead of this machine's clock: set this machine's and the hub's by NTP, or sign in here with the PIN.`,
		);
	}
	if (revocations.has(payload.ticketId)) return no("revoked", "This ticket was revoked.");
	return { ok: true, payload };
}

function no(reason: Extract<TicketVerdict, { ok: false }>["reason"], message: string): TicketVerdict {
	return { ok: false, reason, message };
}
