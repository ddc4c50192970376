import type { OverlayRoute } from "@warren/kernel";
import type { Cidr } from "../protocol/cidr.ts";
import type { Endpoint } from "../protocol/endpoint.ts";
import { kindOf } from "../protocol/messages.ts";
import type { Lane } from "./lanes.ts";

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
