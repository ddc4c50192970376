import { paddingBytes, transportHeaderBytes, transportOverheadBytes } from "../protocol/constants.ts";
import type { Device } from "../protocol/device.ts";
import type { Keypair } from "../protocol/keypair.ts";
import type { Peer } from "../protocol/peer.ts";
import { maxTrainBytes, maxTrainSegments, regions } from "./arena.ts";

/**
 * Datagrams of one peer that leave in one system call: all of one size but the last, which may be shorter and ends the
 * train (UDP_SEGMENT's rule). A packet is placed, then sealed where it lies.
 */
export class Train {
	readonly #device: Device;
	readonly #leave: (peer: Peer, offset: number, bytes: number, segment: number) => void;
	readonly #maxSegments: number;
	#peer: Peer | null = null;
	#used = 0;
	#segment = 0;
	#count = 0;
	#isClosed = false;

	constructor(
		device: Device,
		hasSegmentation: boolean,
		leave: (peer: Peer, offset: number, bytes: number, segment: number) => void,
	) {
		this.#device = device;
		this.#maxSegments = hasSegmentation ? maxTrainSegments : 1;
		this.#leave = leave;
	}

	/** Where the next packet of `length` for `peer` must be put; `seal` with the same arguments then takes it. */
	place(peer: Peer, length: number): number {
		const bytes = sealedBytes(peer, length);
		if (
			this.#count > 0 &&
			(peer !== this.#peer ||
				this.#isClosed ||
				bytes > this.#segment ||
				this.#count >= this.#maxSegments ||
				this.#used + bytes > maxTrainBytes)
		)
			this.flush();
		return regions.train.at + this.#used + transportHeaderBytes;
	}

	seal(peer: Peer, keypair: Keypair<Peer>, length: number, now: number): void {
		const bytes = this.#device.seal(peer, keypair, regions.train.at + this.#used, length, now);
		if (this.#count === 0) {
			this.#peer = peer;
			this.#segment = bytes;
		} else if (bytes < this.#segment) this.#isClosed = true;
		this.#used += bytes;
		this.#count += 1;
	}

	/** Sends what was gathered. */
	flush(): void {
		if (this.#count === 0) return;
		const peer = this.#peer as Peer;
		const used = this.#used;
		this.#used = this.#count = 0;
		this.#isClosed = false;
		this.#leave(peer, regions.train.at, used, this.#segment);
	}
}

/** Of a sealed packet: header, padding that keeps within the MTU, tag. */
function sealedBytes(peer: Peer, length: number): number {
	const rest = length % paddingBytes;
	const padded = rest === 0 ? length : Math.max(length, Math.min(peer.mtu, length + paddingBytes - rest));
	return padded + transportOverheadBytes;
}
