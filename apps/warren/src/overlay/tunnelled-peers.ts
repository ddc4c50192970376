import { canonicalHost } from "@warren/net";
import type { PeerRow } from "@warren/peers";
import type { JoinerStatus } from "./stock-device.ts";

/**
 * The joiner's status with `tunnel` as the path of each machine that the node beside it reaches by that alone: none of
 * the overlay's packets get there now.
 */
export function withTunnels(status: JoinerStatus, rows: readonly Pick<PeerRow, "path" | "ula">[]): JoinerStatus {
	const tunnelled = new Set(rows.flatMap(({ path, ula }) => (path === "tunnel" && ula !== undefined ? [ula] : [])));
	const peers = status.peers.map((peer) =>
		tunnelled.has(canonicalHost(peer.ula)) ? { ...peer, path: "tunnel" } : peer,
	);
	return { ...status, peers };
}
