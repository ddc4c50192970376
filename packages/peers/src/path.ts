import { isIPv6 } from "node:net";
import type { NodeId } from "@warren/kernel";
import { addressKey, type PeerAddress } from "./address.ts";

/** One way to a peer: an address that is dialled, or a tunnel that somebody carries. */
export type PeerPath =
	| { readonly via: "address"; readonly address: PeerAddress }
	| { readonly via: "tunnel"; readonly nodeId: NodeId };

/** As it is shown. `relayed`: over the overlay, whose packets pass its relay now. */
export type PathKind = "direct" | "overlay" | "relayed" | "tunnel";

/** How the overlay reaches one of its addresses now; null when that is not known here. */
export type OverlayLane = (address: string) => "direct" | "relay" | null;

/** What a machine answers to, whatever else it is called: the far end of a tunnel has no address of its own. */
export const tunnelHost = "localhost";

/** The overlay's addresses of machines. */
const overlayPrefix = "fd5a:1f00:";

export function pathKey(path: PeerPath): string {
	return path.via === "address" ? addressKey(path.address) : `tunnel:${path.nodeId}`;
}

export function pathKind(path: PeerPath, laneOf: OverlayLane): PathKind {
	if (path.via === "tunnel") return "tunnel";
	const { host } = path.address;
	if (!isOfOverlay(host)) return "direct";
	return laneOf(host) === "relay" ? "relayed" : "overlay";
}

/** @param host canonical. */
export function isOfOverlay(host: string): boolean {
	return isIPv6(host) && host.startsWith(overlayPrefix);
}

const ranks: Readonly<Record<PathKind, number>> = { direct: 0, overlay: 1, relayed: 2, tunnel: 3 };

/** Whether the first kind is to be preferred. */
export function isBetter(kind: PathKind, than: PathKind): boolean {
	return ranks[kind] < ranks[than];
}
