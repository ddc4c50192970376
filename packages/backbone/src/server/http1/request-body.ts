import { ChunkedBody } from "../../protocol/chunked.ts";
import type { BodyLength } from "../../protocol/request-head.ts";

/** Follows a request's body to its end: which of the bytes that come are its own, and which the next request's. */
export class RequestBody {
	/** Nothing of it is to come. */
	done: boolean;
	/** Bytes that were consumed of the client. */
	taken = 0;
	readonly isChunked: boolean;
	#left: number;
	readonly #chunks: ChunkedBody | null;

	/** @param unwraps passes on what chunks carry, without their sizes and trailers. */
	constructor(length: BodyLength, unwraps = false) {
		this.done = length.kind === "none";
		this.isChunked = length.kind === "chunked";
		this.#left = length.kind === "length" ? length.bytes : 0;
		this.#chunks = this.isChunked ? new ChunkedBody(unwraps) : null;
	}

	/** Field lines that came after it; once it is done. */
	get trailers(): string {
		return this.#chunks?.trailers ?? "";
	}

	/** @param pass gets what travels on. @returns how many bytes were the body's, or what is wrong with it. */
	feed(bytes: Buffer, pass: (piece: Buffer) => void): number | string {
		let used: number;
		if (this.#chunks === null) {
			used = Math.min(bytes.length, this.#left);
			this.#left -= used;
			this.done = this.#left === 0;
			pass(used === bytes.length ? bytes : bytes.subarray(0, used));
		} else {
			const step = this.#chunks.feed(bytes);
			if (step.fault !== null) return step.fault;
			used = step.used;
			this.done = step.ended;
			for (const piece of step.out) if (piece.length > 0) pass(piece);
		}
		this.taken += used;
		return used;
	}
}
