import type { WarrenError } from "@warren/kernel";
import { addressKey, type PeerAddress } from "./address.ts";
import { peerError } from "./errors.ts";

export function pinMismatch(
	peer: { readonly id: string; readonly name: string; readonly address: PeerAddress },
	expected: string,
	actual: string,
): WarrenError {
	const { host, port } = peer.address;
	return peerError(
		"pin_mismatch",
		`${peer.name} (${addressKey(peer.address)}) shows another certificate than expected.`,
		{ details: { peer: peer.id, host, port, expected, actual } },
	);
}
