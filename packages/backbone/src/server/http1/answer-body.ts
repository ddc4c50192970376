import { ChunkedBody } from "../../protocol/chunked.ts";
import type { BodyLength } from "../../protocol/request-head.ts";

/**
 * Follows an answer's body to its end, so that one that was cut never looks whole and the link can serve the next
 * request.
 */
export class AnswerBody {
	readonly kind: BodyLength["kind"];
	/** Nothing of it is to come. Never, by bytes alone, of one that ends with its connection. */
	done: boolean;
	/** It ends with its connection, and this client learns where by chunks instead. */
	readonly rechunked: boolean;
	#left: number;
	readonly #chunks: ChunkedBody | null;

	/** @param minorVersion of the client; 2 = HTTP/2, which gets what chunks carry, and no chunks. */
	constructor(length: BodyLength, minorVersion: 0 | 1 | 2) {
		this.kind = length.kind;
		this.done = length.kind === "none";
		this.rechunked = length.kind === "close" && minorVersion === 1;
		this.#left = length.kind === "length" ? length.bytes : 0;
		this.#chunks = length.kind === "chunked" ? new ChunkedBody(minorVersion === 2) : null;
	}

	/** Field lines that came after it; once it is done. */
	get trailers(): string {
		return this.#chunks?.trailers ?? "";
	}

	/** @returns how many bytes were the body's, or what is wrong with it. @param pass gets what travels on. */
	feed(bytes: Buffer, pass: (piece: Buffer) => void): number | string {
		switch (this.kind) {
			case "length": {
				const used = Math.min(bytes.length, this.#left);
				this.#left -= used;
				this.done = this.#left === 0;
				pass(used === bytes.length ? bytes : bytes.subarray(0, used));
				return used;
			}
			case "chunked": {
				const step = (this.#chunks as ChunkedBody).feed(bytes);
				if (step.fault !== null) return step.fault;
				this.done = step.ended;
				for (const piece of step.out) if (piece.length > 0) pass(piece);
				return step.used;
			}
			case "close":
				if (bytes.length === 0) return 0;
				if (this.rechunked) pass(Buffer.from(`${bytes.length.toString(16)}\r\n`, "latin1"));
				pass(bytes);
				if (this.rechunked) pass(lineEnd);
				return bytes.length;
			case "none":
				return 0;
		}
	}
}

const lineEnd = Buffer.from("\r\n");
/** After the last of a rechunked answer. */
export const lastChunk = Buffer.from("0\r\n\r\n");
