/**
 * The relay's frames (WebSocket binary messages), both directions the same layout:
 *
 *   0       32                n
 *   ├─ key ──┼─── datagram ────┤
 *
 * To the relay the key is the receiver's, from it the sender's. An empty datagram from the relay says that this peer is
 * not at the relay now; WireGuard has no empty messages, so a client that does not know this drops it.
 */
export const relayKeyBytes = 32;
/** A UDP datagram's most. */
export const maxRelayDatagramBytes = 65_535;
export const maxRelayFrameBytes = relayKeyBytes + maxRelayDatagramBytes;

export function encodeRelayFrame(key: Uint8Array, datagram: Uint8Array): Buffer {
	const frame = Buffer.allocUnsafe(relayKeyBytes + datagram.length);
	frame.set(key, 0);
	frame.set(datagram, relayKeyBytes);
	return frame;
}

/** Views into `frame`. @returns null when it is malformed. */
export function decodeRelayFrame(
	frame: Uint8Array,
): { readonly key: Uint8Array; readonly datagram: Uint8Array } | null {
	if (frame.length < relayKeyBytes || frame.length > maxRelayFrameBytes) return null;
	return { key: frame.subarray(0, relayKeyBytes), datagram: frame.subarray(relayKeyBytes) };
}
