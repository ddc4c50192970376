import type { Socket } from "node:net";
import { type Clock, closeCodes, messageOf, type PeerId, WarrenError } from "@warren/kernel";
import {
	closeCodeFor,
	type RequestContext,
	spliceUpgrade,
	type Upgrade,
	type UpstreamAnswer,
	upgradeUpstream,
} from "@warren/net";
import type { PeerDirectory } from "../directory.ts";
import { peerError } from "../errors.ts";
import type { KnownPeer } from "../known-peers.ts";
import { type PeerPath, pathKey } from "../path.ts";
import { assertData, hopHeader, nextHop, upstreamAuthorization } from "./isolation.ts";

/** A socket to a peer, spliced or about to be, and the path that it took. */
interface Spliced {
	readonly socket: Socket;
	readonly path: PeerPath;
}

/** `/r/:peer/ws/*`: checks the peer's pin, does the handshake with both sides, then splices the two sockets. */
export class WebSocketRelay {
	readonly #directory: PeerDirectory;
	readonly #clock: Clock;
	/** To each peer. */
	readonly #open = new Map<PeerId, Set<Spliced>>();

	constructor(directory: PeerDirectory, clock: Clock) {
		this.#directory = directory;
		this.#clock = clock;
	}

	async open(context: RequestContext, upgrade: Upgrade): Promise<void> {
		try {
			assertData(context.headers, "websocket");
			const peer = await this.#directory.get(context.params["peer"] ?? "");
			const answer = await this.#dial(peer, context);
			switch (answer.kind) {
				case "switched":
					return spliceUpgrade(upgrade, answer);
				case "refused":
					return refuseAsPeer(upgrade, answer.status);
				case "broken":
					throw peerError("upstream_error", `${peer.name} answered the WebSocket handshake wrongly: ${answer.why}.`, {
						details: { reason: "handshake" },
					});
				case "silent":
					throw this.#away(peer, answer.cause);
			}
		} catch (thrown) {
			refuseAsRelay(upgrade, thrown);
		}
	}

	/** Peers with sockets that are spliced now. */
	get peers(): readonly PeerId[] {
		return [...this.#open.keys()];
	}

	/** The paths of a peer's sockets, each once for every socket. */
	pathsOf(id: PeerId): readonly PeerPath[] {
		return [...(this.#open.get(id) ?? [])].map(({ path }) => path);
	}

	/**
	 * After a pin changed, or the peer was removed: what was opened under the old one must not go on.
	 * @param on only sockets of this path: it carries no longer, and who waits on them comes back on another.
	 */
	drop(id: PeerId, on?: PeerPath): void {
		for (const { socket, path } of this.#open.get(id) ?? [])
			if (on === undefined || pathKey(path) === pathKey(on)) socket.destroy();
	}

	#remember(id: PeerId, spliced: Spliced): void {
		const sockets = this.#open.get(id) ?? new Set();
		this.#open.set(id, sockets.add(spliced));
		spliced.socket.once("close", () => {
			sockets.delete(spliced);
			if (sockets.size === 0 && this.#open.get(id) === sockets) this.#open.delete(id);
		});
	}

	async #dial(peer: KnownPeer, context: RequestContext): Promise<UpstreamAnswer> {
		const hops = nextHop(context.headers);
		const { traceparent } = context.headers;
		const authorization = context.upstreamAuthorization ?? upstreamAuthorization(context.headers);
		const socket = await this.#directory.overPaths(peer, () => this.#connect(peer));
		const query = context.query.size === 0 ? "" : `?${context.query.toString()}`;
		return upgradeUpstream(
			{
				socket,
				host: this.#directory.hostOf(peer),
				path: `/ws/${context.params["rest"] ?? ""}${query}`,
				headers: {
					[hopHeader]: hops,
					...(authorization === null ? {} : { authorization }),
					...(typeof traceparent === "string" ? { traceparent } : {}),
				},
				signal: context.signal,
			},
			this.#clock,
		);
	}

	/** Remembered from here on: a pin that changes during the handshake counts for it as well. */
	#connect(peer: KnownPeer): Promise<Socket> {
		return new Promise((resolve, reject) => {
			const connect = this.#directory.dialer.connector(peer);
			const path = this.#directory.dialer.pathOf(peer);
			connect({ hostname: peer.address.host, port: String(peer.address.port), protocol: "https:" }, (fault, socket) => {
				if (fault !== null) return reject(this.#away(peer, fault));
				this.#remember(peer.id, { socket, path });
				resolve(socket);
			});
		});
	}

	#away(peer: KnownPeer, fault: unknown): WarrenError {
		if (fault instanceof WarrenError) return fault;
		const message = `${peer.name} does not answer: ${messageOf(fault)}.`;
		return this.#directory.away(peer, "unreachable", message, "Is it on, and is Warren running there?", fault);
	}
}

/** The peer said no before the upgrade: its status as the close code that stands for it. */
function refuseAsPeer(upgrade: Upgrade, status: number): void {
	const known: Readonly<Record<number, number>> = {
		401: closeCodes.signIn,
		403: closeCodes.forbidden,
		404: closeCodes.unknown,
	};
	const error = new WarrenError("upstream_refused", `The peer answered ${status}.`, { status });
	upgrade.refuse(known[status] ?? closeCodes.unavailable, error);
}

/** The relay's own refusals carry `"relay":1`, so that a client does not take them for the peer's. */
function refuseAsRelay(upgrade: Upgrade, thrown: unknown): void {
	const error = thrown instanceof WarrenError ? thrown : peerError("upstream_error", messageOf(thrown));
	const code = error.code === "pin_mismatch" ? closeCodes.forbidden : closeCodeFor(error);
	upgrade.refuse(code, new WarrenError(error.code, error.message, { status: error.status, details: { relay: 1 } }));
}
