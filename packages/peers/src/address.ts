import { createHash } from "node:crypto";
import { isIP } from "node:net";
import type { PeerId } from "@warren/kernel";
import { canonicalHost } from "@warren/net";

/** Where a peer is dialled; also the key of its pin. */
export interface PeerAddress {
	/** Canonical: lower case, no brackets, no trailing dot. */
	readonly host: string;
	readonly port: number;
}

export function addressKey({ host, port }: PeerAddress): string {
	return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** @returns null when the text is neither a host name nor an address. */
export function parsePeerHost(text: string): string | null {
	const host = canonicalHost(text.trim());
	if (isIP(host) !== 0) return host;
	return host.length <= 253 && /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host) && !/^[\d.]+$/.test(host)
		? host
		: null;
}

/**
 * What stands in `/r/:peer`: readable, and the same for one host and port whichever source named it, so that what a
 * browser keeps per peer stays valid.
 */
export function peerIdOf(address: PeerAddress): PeerId {
	const digest = createHash("sha256").update(addressKey(address)).digest("hex").slice(0, 10);
	const label = (isIP(address.host) === 0 ? (address.host.split(".")[0] as string) : address.host)
		.replace(/[^a-z0-9]+/g, "-")
		.replace(/^-|-$/g, "");
	return `${label.slice(0, 32)}-${digest}` as PeerId;
}
