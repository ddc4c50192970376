import type { ConnectionOptions, TLSSocket } from "node:tls";
import type { Fingerprint, NodeId, PeerId } from "@warren/kernel";
import { fingerprintOf, nodeIdOf } from "@warren/net";
import { buildConnector } from "undici";
import type { PeerAddress } from "./address.ts";
import { peerError } from "./errors.ts";
import { pinMismatch } from "./pin-mismatch.ts";
import type { PinCheck, Pins } from "./pins.ts";

export const connectTimeoutMs = 5_000;

/** What a connected peer showed. */
export interface Shown {
	readonly fingerprint: Fingerprint;
	/** Its chain ends at this warren's CA, and is good today. */
	readonly ofWarren: boolean;
	/** Whose certificate it says it is; null in leaves that name no machine. */
	readonly nodeId: NodeId | null;
}

/** As much of a peer as a connection to it needs. */
export interface DialledPeer {
	readonly id: PeerId;
	readonly name: string;
	readonly address: PeerAddress;
	readonly nodeId?: NodeId;
}

/**
 * How peers are dialled and believed. A machine of this warren proves its own identifier by the warren's CA, at whatever
 * address it is found; any other is believed for the certificate that it showed first.
 */
export class PeerDialer {
	readonly #pins: Pins;
	readonly #ca: string | null;
	/** Where each peer answered last. */
	readonly #paths = new Map<PeerId, PeerAddress>();

	/** @param ca PEM of this warren's; null = none is known here. */
	constructor(pins: Pins, ca: string | null) {
		this.#pins = pins;
		this.#ca = ca;
	}

	/** Certificates are judged by `check`, after the handshake and before a byte of a request. */
	get tls(): ConnectionOptions {
		return {
			rejectUnauthorized: false,
			// The identifier is what counts: a machine's address may not be among its names yet.
			checkServerIdentity: () => undefined,
			...(this.#ca === null ? {} : { ca: this.#ca }),
		};
	}

	/** Whether this peer must prove itself by the CA, wherever it is dialled. */
	provesItself(peer: Pick<DialledPeer, "nodeId">): boolean {
		return this.#ca !== null && peer.nodeId !== undefined;
	}

	/** @returns null when the far side showed no certificate. */
	shown(socket: TLSSocket): Shown | null {
		const { raw } = socket.getPeerCertificate() as { raw?: Buffer };
		if (raw === undefined) return null;
		return {
			fingerprint: fingerprintOf(raw),
			ofWarren: this.#ca !== null && socket.authorized,
			nodeId: nodeIdOf(raw),
		};
	}

	/** `unknown` may be learned as a pin; a machine that must prove itself is never learned from its word alone. */
	check(peer: Pick<DialledPeer, "address" | "nodeId">, shown: Shown): PinCheck {
		const pinned = this.#pins.check(peer.address, shown.fingerprint);
		if (!this.provesItself(peer)) return pinned;
		if (shown.ofWarren && shown.nodeId === peer.nodeId) return { verdict: "match" };
		// A leaf of before identifiers were in them: the CA vouches for a machine of this warren, the pin for which one.
		if (shown.ofWarren && shown.nodeId === null) return pinned;
		// Somebody compared the fingerprints and said so.
		if (pinned.verdict === "match") return pinned;
		return { verdict: "mismatch", expected: `this warren's certificate of ${peer.nodeId}` };
	}

	addressOf(peer: Pick<DialledPeer, "id" | "address">): PeerAddress {
		return this.#paths.get(peer.id) ?? peer.address;
	}

	/** Whether it has answered, and nothing went wrong since. */
	isReached(peer: Pick<DialledPeer, "id">): boolean {
		return this.#paths.has(peer.id);
	}

	reached(peer: Pick<DialledPeer, "id">, address: PeerAddress): void {
		this.#paths.set(peer.id, address);
	}

	lost(peer: Pick<DialledPeer, "id">): void {
		this.#paths.delete(peer.id);
	}

	/**
	 * Connects with TLS to where the peer answered last, and judges its certificate before a single byte of a request,
	 * and so of a credential, is written. A peer that has no pin and proves nothing is refused: `PeerDirectory.contact`
	 * comes first.
	 */
	connector(peer: DialledPeer): buildConnector.connector {
		const connect = buildConnector({
			...this.tls,
			// A resumed session shows no certificate.
			maxCachedSessions: 0,
			timeout: connectTimeoutMs,
			ALPNProtocols: ["http/1.1"],
		} as buildConnector.BuildOptions);
		return (options, callback) => {
			const { host: hostname, port } = this.addressOf(peer);
			connect({ ...options, hostname, host: hostname, port: String(port) }, (fault, socket) => {
				if (fault !== null) return callback(fault, null);
				const shown = this.shown(socket as TLSSocket);
				const check = shown === null ? null : this.check(peer, shown);
				if (check?.verdict === "match") return callback(null, socket);
				socket.destroy();
				if (check?.verdict === "mismatch")
					return callback(pinMismatch(peer, check.expected, shown?.fingerprint ?? ""), null);
				callback(peerError("upstream_error", `${peer.name} has no pinned certificate yet.`), null);
			});
		};
	}
}
