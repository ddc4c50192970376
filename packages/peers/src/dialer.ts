import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { type Fingerprint, messageOf, type NodeId, type PeerId, type PeerTunnel } from "@warren/kernel";
import { fingerprintOf, nodeIdOf } from "@warren/net";
import { buildConnector } from "undici";
import { addressKey, type PeerAddress } from "./address.ts";
import { peerError } from "./errors.ts";
import { isOfOverlay, type PeerPath, pathKey, tunnelHost } from "./path.ts";
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
	readonly #tunnel: PeerTunnel<Duplex> | null;
	/** How each peer answered last. */
	readonly #paths = new Map<PeerId, PeerPath>();
	readonly #watchers: ((id: PeerId) => void)[] = [];

	/** @param ca PEM of this warren's; null = none is known here. @param tunnel to machines that prove themselves. */
	constructor(pins: Pins, ca: string | null, tunnel: PeerTunnel<Duplex> | null = null) {
		this.#pins = pins;
		this.#ca = ca;
		this.#tunnel = tunnel;
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

	/** Whether it proved to be that machine, by this warren's CA and nothing else. */
	hasProved(peer: Pick<DialledPeer, "nodeId">, shown: Shown): boolean {
		return this.provesItself(peer) && shown.ofWarren && shown.nodeId === peer.nodeId;
	}

	/**
	 * As `check`, on one of its paths. Who was met at an address, and pinned, is a machine of the warren by that machine's own
	 * word until it has shown itself there: elsewhere nobody but the pinned one is it.
	 */
	checkOn(path: PeerPath, peer: Pick<DialledPeer, "address" | "nodeId">, shown: Shown): PinCheck {
		const isAtHome = path.via === "address" && addressKey(path.address) === addressKey(peer.address);
		const pinned = isAtHome ? null : this.#pins.check(peer.address, shown.fingerprint);
		return pinned?.verdict === "mismatch" ? pinned : this.check(peer, shown);
	}

	/** `unknown` may be learned as a pin; a machine that must prove itself is never learned from its word alone. */
	check(peer: Pick<DialledPeer, "address" | "nodeId">, shown: Shown): PinCheck {
		const pinned = this.#pins.check(peer.address, shown.fingerprint);
		if (!this.provesItself(peer)) return pinned;
		if (this.hasProved(peer, shown)) return { verdict: "match" };
		// A leaf of before identifiers were in them: the CA vouches for a machine of this warren, the pin for which one.
		if (shown.ofWarren && shown.nodeId === null) return pinned;
		// Somebody compared the fingerprints and said so.
		if (pinned.verdict === "match") return pinned;
		return { verdict: "mismatch", expected: `this warren's certificate of ${peer.nodeId}` };
	}

	/** How it answered last; its first address until it was asked. */
	pathOf(peer: Pick<DialledPeer, "id" | "address">): PeerPath {
		return this.#paths.get(peer.id) ?? { via: "address", address: peer.address };
	}

	/**
	 * Every way to it: addresses before those of the overlay, the one of last time first among its kind, the tunnel last.
	 * Only a machine that proves itself may be looked for elsewhere: at its other addresses anybody may sit.
	 */
	pathsTo(
		peer: Pick<DialledPeer, "id" | "address" | "nodeId"> & { readonly others: readonly PeerAddress[] },
		maxAddresses: number,
	): PeerPath[] {
		if (!this.provesItself(peer)) return [{ via: "address", address: peer.address }];
		const last = this.#paths.get(peer.id);
		const all = [...(last?.via === "address" ? [last.address] : []), peer.address, ...peer.others];
		const byKey = new Map(all.map((address) => [addressKey(address), address]));
		const addresses = [...byKey.values()]
			.sort((a, b) => Number(isOfOverlay(a.host)) - Number(isOfOverlay(b.host)))
			.slice(0, maxAddresses);
		const nodeId = peer.nodeId as NodeId;
		return [
			...addresses.map((address): PeerPath => ({ via: "address", address })),
			...(this.#tunnel?.leadsTo(nodeId) === true ? [{ via: "tunnel", nodeId } as const] : []),
		];
	}

	/** Whether it has answered, and nothing went wrong since. */
	isReached(peer: Pick<DialledPeer, "id">): boolean {
		return this.#paths.has(peer.id);
	}

	reached(peer: Pick<DialledPeer, "id">, path: PeerPath): void {
		const before = this.#paths.get(peer.id);
		this.#paths.set(peer.id, path);
		if (before === undefined || pathKey(before) === pathKey(path)) return;
		for (const watcher of this.#watchers) watcher(peer.id);
	}

	/** Called when a peer is reached by another path than before. */
	onMoved(watcher: (id: PeerId) => void): void {
		this.#watchers.push(watcher);
	}

	lost(peer: Pick<DialledPeer, "id">): void {
		this.#paths.delete(peer.id);
	}

	/** The bytes below TLS. @throws what the tunnel throws. */
	async openTunnel(nodeId: NodeId, signal: AbortSignal): Promise<Duplex> {
		if (this.#tunnel === null) throw peerError("upstream_error", "No tunnel leads to any machine from here.");
		return this.#tunnel.open(nodeId, signal);
	}

	/**
	 * Connects with TLS by the path on which the peer answered last, and judges its certificate before a single byte of a request,
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
			const path = this.pathOf(peer);
			const judge = (fault: Error | null, socket: Socket | null) => {
				if (fault !== null || socket === null) return callback(fault ?? new Error("no socket"), null);
				const shown = this.shown(socket as TLSSocket);
				const check = shown === null ? null : this.checkOn(path, peer, shown);
				if (check?.verdict === "match") return callback(null, socket as TLSSocket);
				socket.destroy();
				if (check?.verdict === "mismatch")
					return callback(pinMismatch(peer, check.expected, shown?.fingerprint ?? ""), null);
				callback(peerError("upstream_error", `${peer.name} has no pinned certificate yet.`), null);
			};
			if (path.via === "address") {
				const { host: hostname, port } = path.address;
				return connect({ ...options, hostname, host: hostname, port: String(port) }, judge as buildConnector.Callback);
			}
			void this.#overTunnel(path.nodeId).then(({ stream, fault }) => {
				if (fault !== null) return judge(fault, null);
				connect(
					{ ...options, hostname: tunnelHost, host: tunnelHost, httpSocket: stream as Socket },
					judge as buildConnector.Callback,
				);
			});
		};
	}

	/** As of any path that does not carry: whoever asked says which peer is away. Never rejects. */
	async #overTunnel(nodeId: NodeId): Promise<{ stream: Duplex; fault: null } | { stream: null; fault: Error }> {
		try {
			return { stream: await this.openTunnel(nodeId, AbortSignal.timeout(connectTimeoutMs)), fault: null };
		} catch (fault) {
			return { stream: null, fault: new Error(messageOf(fault)) };
		}
	}
}
