import { HeadLines } from "../../protocol/head-lines.ts";
import { notHttp1, parseResponseHead, type ResponseHead } from "../../protocol/response-head.ts";

const statusLineStart = "HTTP/1.";
/** Of each answer in turn. */
const lines = new HeadLines();
const maxResponseHeadBytes = 64 * 1024;

/** An answer's head, and what came with it. */
export interface WholeHead {
	readonly head: ResponseHead;
	/** Null = nothing more came yet. */
	readonly rest: Buffer | null;
}

/** Gathers a service's answer until its head is whole. */
export class AnswerHead {
	#held: Buffer | null = null;

	/** @param method of the request. @returns null while it is not whole; a string is what is wrong with it. */
	feed(piece: Buffer, method: string): WholeHead | string | null {
		const bytes = this.#held === null ? piece : Buffer.concat([this.#held, piece]);
		if (!lines.read(bytes)) {
			if (bytes.length > maxResponseHeadBytes) return `its head is larger than ${maxResponseHeadBytes} bytes`;
			const begins = Math.min(bytes.length, statusLineStart.length);
			if (bytes.toString("latin1", 0, begins) !== statusLineStart.slice(0, begins)) return notHttp1;
			this.#held = bytes;
			return null;
		}
		this.#held = null;
		const { length } = lines;
		const head = parseResponseHead(bytes.toString("latin1", 0, length), method, lines);
		if (typeof head === "string") return head;
		return { head, rest: length === bytes.length ? null : bytes.subarray(length) };
	}
}

/** As the client gets it. @param facts what this hop adds. */
export function answerText(
	head: ResponseHead,
	facts: { readonly rechunked: boolean; readonly afterUrlToken: boolean; readonly keepAlive: boolean },
): string {
	return (
		`HTTP/1.1 ${head.statusLine}\r\n${head.kept}` +
		(facts.rechunked ? "Transfer-Encoding: chunked\r\n" : "") +
		(facts.afterUrlToken ? "Referrer-Policy: no-referrer\r\n" : "") +
		(facts.keepAlive ? "\r\n" : "Connection: close\r\n\r\n")
	);
}
