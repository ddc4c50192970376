import { encodeFragments, encodeFrame, type Frame } from "@warren/net";
import { relayLimits } from "./relay-limits.ts";

/** Messages on their way to many sockets: framed at most once, whoever takes them. */
export class Outgoing {
	readonly messages: readonly Uint8Array[];
	readonly bytes: number;
	/** A part of the document: it goes out only while its reader takes it, and readers share it. */
	readonly ofDocument: boolean;
	#framed: Framed | undefined;

	constructor(messages: readonly Uint8Array[], options: { readonly ofDocument?: boolean } = {}) {
		this.messages = messages;
		this.ofDocument = options.ofDocument ?? false;
		this.bytes = messages.reduce((sum, each) => sum + each.length, 0);
	}

	/** Small messages as one buffer, so that a reader costs one write; large ones in fragments. */
	frames(): readonly Frame[] {
		this.#framed ??= frame(this.messages);
		return this.#framed.frames;
	}

	/** The same without some of them, for who sent those: cut from the frames that stand already. Null when none is left. */
	without(isOwn: (index: number) => boolean): Outgoing | null {
		this.#framed ??= frame(this.messages);
		const others = this.messages.filter((_, index) => !isOwn(index));
		if (others.length === 0) return null;
		const rest = new Outgoing(others, this);
		const [joined] = this.#framed.frames;
		// Several frames are large ones: those are framed anew.
		if (joined !== undefined && this.#framed.frames.length === 1)
			rest.#framed = { frames: [cut(joined, this.#framed.ends, isOwn)], ends: [] };
		return rest;
	}
}

interface Framed {
	readonly frames: readonly Frame[];
	/** Where each message's frame ends, when all of them are in one buffer. */
	readonly ends: readonly number[];
}

function frame(messages: readonly Uint8Array[]): Framed {
	const frames: Frame[] = [];
	const ends: number[] = [];
	let small: Frame[] = [];
	let smallBytes = 0;
	const flush = () => {
		if (small.length > 0) frames.push(small.length === 1 ? (small[0] as Frame) : Buffer.concat(small, smallBytes));
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
		const framed = encodeFrame(message);
		small.push(framed);
		smallBytes += framed.length;
		ends.push(smallBytes);
	}
	flush();
	return { frames, ends };
}

/** Runs of neighbours are copied as one. */
function cut(joined: Frame, ends: readonly number[], isOwn: (index: number) => boolean): Frame {
	const runs: Buffer[] = [];
	let from = 0;
	ends.forEach((end, index) => {
		if (!isOwn(index)) return;
		const start = index === 0 ? 0 : (ends[index - 1] as number);
		if (start > from) runs.push(joined.subarray(from, start));
		from = end;
	});
	if (from < joined.length) runs.push(joined.subarray(from));
	return runs.length === 1 ? (runs[0] as Buffer) : Buffer.concat(runs);
}
