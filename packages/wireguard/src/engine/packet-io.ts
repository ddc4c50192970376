import type { Endpoint } from "../protocol/endpoint.ts";

/** Where inner packets come from and go to. Offsets are into the device's arena. */
export interface TunIo {
	/** Takes coalesced packets behind a virtio header, and gives them. */
	readonly hasOffload: boolean;
	/** Writes `length` bytes at `offset`, the virtio header included when `hasOffload`. */
	write(offset: number, length: number): void;
	/** Writes a super-packet from pieces: pairs of offset and length. */
	writePieces(pieces: readonly number[]): void;
}

/** Where sealed datagrams leave. */
export interface UdpIo {
	/** That it is bound to. */
	readonly port: number;
	/** Takes trains of more than one datagram at once. */
	readonly hasSegmentation: boolean;
	/** Sends `bytes` at `offset` as datagrams of `segment` bytes, the last may be shorter. */
	send(to: Endpoint, offset: number, bytes: number, segment: number): void;
	/** Sends bytes that are not in the arena. */
	sendOther(to: Endpoint, bytes: Uint8Array): void;
}
