import type { OverlayRoute } from "@warren/kernel";
import type { Cidr } from "../protocol/cidr.ts";
import { type Endpoint, endpointOf } from "../protocol/endpoint.ts";
import { kindOf } from "../protocol/messages.ts";
import type { Lane } from "./lanes.ts";
import type { KernelPeer } from "./wireguard-messages.ts";

/** What the device remembers of a peer beside what the kernel does. */
export interface KernelPeerRecord {
	readonly publicKey: Uint8Array;
	readonly lane: Lane;
	route: OverlayRoute;
	/** Where the peer itself is, as told or as roaming found; null = nobody knows. */
	direct: Endpoint | null;
	/** What the kernel was told last. */
	told: Endpoint | null;
	allowedIps: readonly Cidr[];
	keepalive: number;
	mtu: number;
	lastHandshakeAt: number | null;
}

/** Where the kernel is to send: straight to the peer, or into its lane, from which datagrams leave as the route says. */
export function wantedEndpoint(peer: KernelPeerRecord): Endpoint {
	return peer.route === "direct" && peer.direct !== null ? peer.direct : peer.lane.endpoint;
}

/** Which ways a datagram leaves that the kernel has put into the peer's lane. */
export function waysOf(
	peer: KernelPeerRecord,
	bytes: Uint8Array,
): { direct: boolean; relay: boolean; urgent: boolean } {
	const kind = kindOf(bytes);
	const direct = peer.route !== "relay" && peer.direct !== null;
	// The kernel answers where it was asked: an answer in the lane may be one to what the relay brought.
	const answers = kind === "response" || kind === "cookie";
	return {
		direct,
		relay: !direct || peer.route === "both" || answers,
		urgent: kind !== "transport" || bytes.length === keepaliveBytes,
	};
}

const keepaliveBytes = 32;

/**
 * Takes up what the kernel says of a peer: where it has roamed, whether it shook hands. @param isLane it sends into a
 * lane, somebody's. @returns whether the owner is told of it, and whether the kernel must be told where to send.
 */
export function follow(
	peer: KernelPeerRecord,
	{ endpoint, lastHandshakeAt }: Pick<KernelPeer, "endpoint" | "lastHandshakeAt">,
	isLane: boolean,
): { hasChanged: boolean; mustTell: boolean } {
	const seen = endpoint === null ? null : endpointOf(endpoint.address, endpoint.port);
	let hasChanged = lastHandshakeAt !== peer.lastHandshakeAt;
	peer.lastHandshakeAt = lastHandshakeAt;
	if (seen !== null && isSame(seen, wantedEndpoint(peer))) return { hasChanged, mustTell: false };
	if (!isLane && seen !== null) {
		if (peer.direct === null || !isSame(seen, peer.direct)) {
			peer.direct = seen;
			hasChanged = true;
		}
		// Where it sends already is where it shall.
		if (peer.route === "direct") peer.told = peer.direct;
	}
	return { hasChanged, mustTell: isLane || wantedEndpoint(peer) === peer.lane.endpoint };
}

function isSame(a: Endpoint, b: Endpoint): boolean {
	return Buffer.compare(a.bytes, b.bytes) === 0;
}
