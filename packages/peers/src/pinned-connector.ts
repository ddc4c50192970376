import type { TLSSocket } from "node:tls";
import type { Fingerprint, WarrenError } from "@warren/kernel";
import { fingerprintOf } from "@warren/net";
import { buildConnector } from "undici";
import { addressKey, type PeerAddress } from "./address.ts";
import { peerError } from "./errors.ts";
import type { Pins } from "./pins.ts";

export const connectTimeoutMs = 5_000;

/** The certificate of a connected socket. @returns null when the far side showed none. */
export function shownFingerprint(socket: TLSSocket): Fingerprint | null {
	const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
	return raw === undefined ? null : fingerprintOf(raw);
}

export function pinMismatch(
	peer: { readonly id: string; readonly name: string; readonly address: PeerAddress },
	expected: string,
	actual: string,
): WarrenError {
	const { host, port } = peer.address;
	return peerError(
		"pin_mismatch",
		`${peer.name} (${addressKey(peer.address)}) shows another certificate than before.`,
		{
			details: { peer: peer.id, host, port, expected, actual },
		},
	);
}

/**
 * Connects to one peer with TLS and checks its pin before a single byte of a request, and so of a credential, is
 * written. A peer without a pin is refused: `PeerDirectory.contact` pins it first.
 */
export function pinnedConnector(
	peer: { readonly id: string; readonly name: string; readonly address: PeerAddress },
	pins: Pins,
): buildConnector.connector {
	const connect = buildConnector({
		// The pin is the trust; a chain to some authority would add nothing.
		rejectUnauthorized: false,
		// A resumed session shows no certificate.
		maxCachedSessions: 0,
		timeout: connectTimeoutMs,
		ALPNProtocols: ["http/1.1"],
	} as buildConnector.BuildOptions);
	return (options, callback) => {
		connect(options, (fault, socket) => {
			if (fault !== null) return callback(fault, null);
			const shown = shownFingerprint(socket as TLSSocket);
			const check = shown === null ? null : pins.check(peer.address, shown);
			if (check?.verdict === "match") return callback(null, socket);
			socket.destroy();
			if (check?.verdict === "mismatch") return callback(pinMismatch(peer, check.expected, shown as string), null);
			callback(peerError("upstream_error", `${peer.name} has no pinned certificate yet.`), null);
		});
	};
}
