import type { Socket } from "node:net";
import { closeCodes, messageOf, WarrenError } from "@warren/kernel";
import {
	closeCodeFor,
	type RequestContext,
	spliceUpgrade,
	type Upgrade,
	type UpstreamAnswer,
	upgradeUpstream,
} from "@warren/net";
import { addressKey } from "../address.ts";
import type { KnownPeer, PeerDirectory } from "../directory.ts";
import { peerError } from "../errors.ts";
import { pinnedConnector } from "../pinned-connector.ts";
import type { Pins } from "../pins.ts";
import { assertData, hopHeader, nextHop, upstreamAuthorization } from "./isolation.ts";

/** `/r/:peer/ws/*`: checks the peer's pin, does the handshake with both sides, then splices the two sockets. */
export class WebSocketRelay {
	readonly #directory: PeerDirectory;
	readonly #pins: Pins;

	constructor(directory: PeerDirectory, pins: Pins) {
		this.#directory = directory;
		this.#pins = pins;
	}

	async open(context: RequestContext, upgrade: Upgrade): Promise<void> {
		try {
			const peer = await this.#directory.get(context.params["peer"] ?? "");
			const answer = await this.#dial(peer, context);
			if (answer.kind === "switched") spliceUpgrade(upgrade, answer);
			else if (answer.kind === "refused") refuseAsPeer(upgrade, answer.status);
			else
				throw peerError("upstream_error", `${peer.name} broke off the WebSocket handshake: ${answer.why}.`, {
					details: { reason: "handshake" },
				});
		} catch (thrown) {
			refuseAsRelay(upgrade, thrown);
		}
	}

	async #dial(peer: KnownPeer, context: RequestContext): Promise<UpstreamAnswer> {
		assertData(context.headers, "websocket");
		const hops = nextHop(context.headers);
		const authorization = context.upstreamAuthorization ?? upstreamAuthorization(context.headers);
		await this.#directory.contact(peer);
		const query = context.query.size === 0 ? "" : `?${context.query.toString()}`;
		return upgradeUpstream({
			socket: await connectPinned(peer, this.#pins),
			host: addressKey(peer.address),
			path: `/ws/${context.params["rest"] ?? ""}${query}`,
			headers: { [hopHeader]: hops, ...(authorization === null ? {} : { authorization }) },
			signal: context.signal,
		});
	}
}

function connectPinned(peer: KnownPeer, pins: Pins): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const connect = pinnedConnector(peer, pins);
		connect({ hostname: peer.address.host, port: String(peer.address.port), protocol: "https:" }, (fault, socket) => {
			if (fault === null) resolve(socket);
			else if (fault instanceof WarrenError) reject(fault);
			else
				reject(
					peerError("upstream_error", `${peer.name} does not answer: ${messageOf(fault)}.`, {
						details: { reason: "unreachable" },
						cause: fault,
					}),
				);
		});
	});
}

/** The peer said no before the upgrade: its status as the close code that stands for it. */
function refuseAsPeer(upgrade: Upgrade, status: number): void {
	const code =
		status === 401
			? closeCodes.signIn
			: status === 403
				? closeCodes.forbidden
				: status === 404
					? closeCodes.unknown
					: closeCodes.unavailable;
	upgrade.refuse(code, new WarrenError("upstream_refused", `The peer answered ${status}.`, { status }));
}

/** The relay's own refusals carry `"relay":1`, so that a client does not take them for the peer's. */
function refuseAsRelay(upgrade: Upgrade, thrown: unknown): void {
	const error = thrown instanceof WarrenError ? thrown : peerError("upstream_error", messageOf(thrown));
	const code = error.code === "pin_mismatch" ? closeCodes.forbidden : closeCodeFor(error);
	upgrade.refuse(code, new WarrenError(error.code, error.message, { status: error.status, details: { relay: 1 } }));
}
