import { expect, it } from "vitest";
import { keyBytes, keyOf } from "../addresses.ts";
import type { Ula } from "../protocol/peer-record.ts";
import { peerStatuses } from "./joiner-status.ts";
import type { PeerInfo, WantedPeer } from "./peer-table.ts";

it("the status of many peers looks at each of the device's once: it is written every five seconds", () => {
	const count = 500;
	const peers = Array.from({ length: count }, (_, at): WantedPeer => {
		const key = keyOf(
			new Uint8Array(32)
				.fill(1)
				.fill(at >> 8, 0, 1)
				.fill(at & 255, 1, 2),
		);
		return {
			key,
			info: { peer_id: `p${at}`, display_name: "", relay_only: false } as PeerInfo,
			device: { publicKey: keyBytes(key), allowedIps: [] },
			addresses: [`fd5a:1f00::${at}` as Ula],
			endpoints: [],
		};
	});
	let looks = 0;
	const seen = peers.toReversed().map(({ key, info }) => ({
		get publicKey() {
			looks += 1;
			return keyBytes(key);
		},
		...{ endpoint: null, allowedIps: [], lastHandshakeAt: null, sentBytes: 1, route: "direct", mtu: 1420 },
		receivedBytes: Number(info.peer_id.slice(1)),
	}));
	const device = { peers: seen } as unknown as Parameters<typeof peerStatuses>[2];
	const statuses = peerStatuses(peers, "own", device, null);
	expect(statuses.map(({ peer_id, rx_bytes }) => [peer_id, rx_bytes])).toEqual(
		Array.from({ length: count }, (_, at) => [`p${at}`, at]),
	);
	expect(looks).toBe(count);
});
