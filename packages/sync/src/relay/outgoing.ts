import { encodeFragments, encodeFrame, type Frame } from "@warren/net";
import { relayLimits } from "./relay-limits.ts";

/** Messages on their way to many sockets: framed at most once, whoever takes them. */
export class Outgoing {
	readonly messages: readonly Uint8Array[];
	readonly bytes: number;
	#frames: readonly Frame[] | undefined;

	constructor(messages: readonly Uint8Array[]) {
		this.messages = messages;
		this.bytes = messages.reduce((sum, each) => sum + each.length, 0);
	}

	/** Small messages as one buffer, so that a reader costs one write; large ones in fragments. */
	frames(): readonly Frame[] {
		this.#frames ??= frame(this.messages);
		return this.#frames;
	}
}

function frame(messages: readonly Uint8Array[]): Frame[] {
	const frames: Frame[] = [];
	let small: Frame[] = [];
	let smallBytes = 0;
	const flush = () => {
		if (small.length > 0) frames.push(small.length === 1 ? (small[0] as Frame) : Buffer.concat(small));
		small = [];
		smallBytes = 0;
	};
	for (const message of messages) {
		if (message.length > relayLimits.fragmentBytes) {
			flush();
			frames.push(...encodeFragments(message, relayLimits.fragmentBytes));
			continue;
		}
		if (smallBytes + message.length > relayLimits.fragmentBytes) flush();
		small.push(encodeFrame(message));
		smallBytes += message.length;
	}
	flush();
	return frames;
}
