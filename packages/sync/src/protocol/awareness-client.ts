import type { Random } from "@warren/kernel";
import { encodeEntries } from "./awareness.ts";
import { encodeAwareness } from "./frames.ts";

/** One client as awareness knows it. Its clock grows over reconnects, too: an older one would be taken for a replay. */
export class AwarenessClient {
	readonly id: number;
	#clock = 0;

	constructor(random: Random) {
		this.id = new DataView(random.bytes(4).slice().buffer).getUint32(0);
	}

	/** The message that says its state anew. @param state JSON; null = it is gone. */
	says(state: string | null): Uint8Array {
		return encodeAwareness(encodeEntries([{ client: this.id, clock: ++this.#clock, state }]));
	}
}
