import type { OverlayDeviceStatus, OverlayPeerStatus } from "@warren/kernel";
import { keyOf } from "../addresses.ts";
import type { PathDriver } from "./path-driver.ts";
import type { WantedPeer } from "./peer-table.ts";

/** The peers in `warren overlay status` and `status.json`. @param own this joiner's peer id. */
export function peerStatuses(
	peers: readonly WantedPeer[],
	own: string,
	device: OverlayDeviceStatus | undefined,
	paths: Pick<PathDriver, "stateOf"> | null,
) {
	const seen = new Map(device?.peers.map((each) => [keyOf(each.publicKey), each]));
	return peers.map((peer) => peerStatus(peer, own, seen.get(peer.key), paths));
}

function peerStatus(
	peer: WantedPeer,
	own: string,
	seen: OverlayPeerStatus | undefined,
	paths: Pick<PathDriver, "stateOf"> | null,
) {
	const path = paths?.stateOf(peer.key);
	return {
		peer_id: peer.info.peer_id,
		display_name: peer.info.display_name,
		ula: peer.addresses[0],
		addresses: peer.addresses,
		path: peer.info.relay_only ? "relay" : peer.info.parent === own ? "direct" : (path?.at ?? "relay"),
		endpoint: path?.endpoint ?? seen?.endpoint ?? null,
		rtt_ms: path?.rttMs ?? null,
		mtu: seen?.mtu ?? null,
		last_handshake_at: seen?.lastHandshakeAt ?? null,
		rx_bytes: seen?.receivedBytes ?? 0,
		tx_bytes: seen?.sentBytes ?? 0,
	};
}
