import { limits } from "../protocol/constants.ts";
import type { Offload } from "./segments.ts";

interface Staged {
	readonly packet: Uint8Array;
	readonly offload: Offload;
}

/** Inner packets that wait for a session, with what the virtio header said of them. The oldest give way. */
export class StagedPackets {
	#packets: Staged[] = [];
	#bytes = 0;

	add(packet: Uint8Array, offload: Offload): void {
		this.#packets.push({ packet, offload });
		this.#bytes += packet.length;
		while (this.#packets.length > limits.stagedPackets || this.#bytes > limits.stagedBytes)
			this.#bytes -= this.#packets.shift()?.packet.length ?? 0;
	}

	take(): Staged[] {
		const packets = this.#packets;
		this.#packets = [];
		this.#bytes = 0;
		return packets;
	}

	get bytes(): number {
		return this.#bytes;
	}
}
