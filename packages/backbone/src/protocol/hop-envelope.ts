import { createHmac, hkdfSync } from "node:crypto";
import { equalKeys } from "./tokens.ts";

/** Where one node asks another for a link to one of its agents: `/hop/<service>`, upgraded like an agent's. */
export const hopPath = "/hop/";
/** `<base64url(payload)>.<base64url(HMAC)>`: the envelope. */
export const hopHeader = "x-warren-hop";
/** In every answer of a node that knew the key: what the next envelope must name. */
export const hopChallengeHeader = "x-warren-hop-challenge";
/** In the 101: that whoever answers holds the key too. */
export const hopProofHeader = "x-warren-hop-proof";

export const hopLimits = {
	maxEnvelopeLength: 1024,
	/** A challenge is made this often, and the last three are taken: an envelope lives 30 s at most, on one clock. */
	challengeMs: 10_000,
	challengesTaken: 3,
} as const;

/** Who asks whom for what. Times are nobody's: freshness comes from the receiver's own challenge. */
export interface HopEnvelope {
	/** The only number there is: a hop goes no further. */
	readonly hop: 1;
	readonly from: string;
	readonly to: string;
	/** Of the receiver's lease, as the sender knows it. */
	readonly epoch: number;
	readonly service: string;
	/** Never twice. */
	readonly nonce: string;
	readonly challenge: string;
}

/** The key that all nodes of one backbone have, and nobody else. */
export function deriveHopKey(masterSecret: string): Buffer {
	return Buffer.from(hkdfSync("sha256", masterSecret, "", "warren-backbone-hop-v1", 32));
}

export function signHop(key: Uint8Array, envelope: HopEnvelope): string {
	const payload = Buffer.from(JSON.stringify(envelope)).toString("base64url");
	return `${payload}.${mac(key, `hop:${payload}`)}`;
}

/** @returns the envelope, or null: malformed and forged look the same. */
export function openHop(key: Uint8Array, text: string): HopEnvelope | null {
	if (text.length > hopLimits.maxEnvelopeLength) return null;
	const [payload = "", given = "", more] = text.split(".");
	if (more !== undefined || !/^[A-Za-z0-9_-]+$/.test(payload)) return null;
	if (!equalKeys(Buffer.from(given), Buffer.from(mac(key, `hop:${payload}`)))) return null;
	const opened = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as HopEnvelope;
	return opened.hop === 1 ? opened : null;
}

/** What the receiver answers to show that it holds the key. */
export function hopProof(key: Uint8Array, nonce: string): string {
	return mac(key, `answer:${nonce}`);
}

export function isHopProof(key: Uint8Array, nonce: string, given: string): boolean {
	return equalKeys(Buffer.from(given), Buffer.from(hopProof(key, nonce)));
}

function mac(key: Uint8Array, text: string): string {
	return createHmac("sha256", key).update(text).digest("base64url");
}
