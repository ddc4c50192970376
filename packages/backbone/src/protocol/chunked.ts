import { hasBadBytes, isToken } from "./head-bytes.ts";
import { isReservedName } from "./reserved-names.ts";

const maxSizeDigits = 12;
const maxTrailerBytes = 16 * 1024;

type State = "size" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer";

/** What a piece of a chunked body becomes. */
export interface ChunkedStep {
	/** What to pass on: the same bytes, with a filtered trailer section; or what they carry, where that was asked for. */
	readonly out: readonly Buffer[];
	/** How many bytes of the piece belong to the body; the rest is the next message. */
	readonly used: number;
	readonly ended: boolean;
	readonly fault: string | null;
}

/**
 * Follows a chunked body (RFC 9112 §7.1) to its end. Strict: plain hexadecimal sizes, CRLF everywhere, no chunk
 * extensions; nothing that another parser could read as something else passes. Fields of ours leave the trailers.
 */
export class ChunkedBody {
	/** Field lines after the body that may be passed on, each with its CRLF; once it has ended. */
	trailers = "";
	readonly #unwraps: boolean;
	#state: State = "size";
	#digits = 0;
	#left = 0;
	#trailer = "";

	/** @param unwraps gives what the chunks carry, without their sizes and trailers: for HTTP/2, which has none. */
	constructor(unwraps = false) {
		this.#unwraps = unwraps;
	}

	/** @param piece as it arrived. */
	feed(piece: Buffer): ChunkedStep {
		const carried: Buffer[] | null = this.#unwraps ? [] : null;
		let at = 0;
		const end = piece.length;
		while (at < end) {
			const byte = piece[at] as number;
			switch (this.#state) {
				case "size": {
					const digit = hexDigit(byte);
					if (digit !== -1) {
						if (++this.#digits > maxSizeDigits) return fault(at, "a chunk's size has too many digits");
						this.#left = this.#left * 16 + digit;
					} else if (byte === 0x0d && this.#digits > 0) this.#state = "size-lf";
					else return fault(at, byte === 0x3b ? "a chunk extension" : "a chunk's size is not hexadecimal");
					at += 1;
					break;
				}
				case "size-lf":
					if (byte !== 0x0a) return fault(at, "a chunk's size does not end in CRLF");
					at += 1;
					this.#digits = 0;
					if (this.#left === 0) {
						this.#state = "trailer";
						this.#trailer = "";
						const done = this.#readTrailer(piece, at, carried);
						return done ?? { out: carried ?? [piece.subarray(0, at)], used: end, ended: false, fault: null };
					}
					this.#state = "data";
					break;
				case "data": {
					const take = Math.min(this.#left, end - at);
					this.#left -= take;
					carried?.push(piece.subarray(at, at + take));
					at += take;
					if (this.#left === 0) this.#state = "data-cr";
					break;
				}
				case "data-cr":
					if (byte !== 0x0d) return fault(at, "a chunk is longer than its size");
					this.#state = "data-lf";
					at += 1;
					break;
				case "data-lf":
					if (byte !== 0x0a) return fault(at, "a chunk does not end in CRLF");
					this.#state = "size";
					at += 1;
					break;
				case "trailer":
					return this.#readTrailer(piece, 0, carried) ?? { out: [], used: end, ended: false, fault: null };
			}
		}
		return { out: carried ?? [piece], used: end, ended: false, fault: null };
	}

	/** @param from where in the piece the trailer section begins or goes on. @param carried null = the bytes as they came. */
	#readTrailer(piece: Buffer, from: number, carried: Buffer[] | null): ChunkedStep | null {
		const before = this.#trailer.length;
		this.#trailer += piece.toString("latin1", from, Math.min(piece.length, from + maxTrailerBytes + 4));
		const end = this.#trailer.startsWith("\r\n") ? 0 : this.#trailer.indexOf("\r\n\r\n");
		if (end === -1) return this.#trailer.length > maxTrailerBytes ? fault(from, "the trailers are too long") : null;
		const section = end === 0 ? "" : this.#trailer.slice(0, end + 2);
		const total = end === 0 ? 2 : end + 4;
		if (hasBadBytes(section)) return fault(from, "a trailer holds a control byte or a bare line end");
		let kept = "";
		for (const line of section.split("\r\n")) {
			if (line === "") continue;
			const colon = line.indexOf(":");
			const name = line.slice(0, Math.max(0, colon));
			if (!isToken(name)) return fault(from, "a trailer's name is not a token");
			if (!isReservedName(name) && !isForbiddenTrailer(name)) kept += `${line}\r\n`;
		}
		this.trailers = kept;
		return {
			out: carried ?? [piece.subarray(0, from), Buffer.from(`${kept}\r\n`, "latin1")],
			used: from + total - before,
			ended: true,
			fault: null,
		};
	}
}

/** RFC 9110 §6.5.1: what frames, routes or authenticates is no trailer. */
export function isForbiddenTrailer(name: string): boolean {
	return forbiddenTrailers.has(name.toLowerCase());
}

const forbiddenTrailers: ReadonlySet<string> = new Set([
	"host",
	"content-length",
	"transfer-encoding",
	"connection",
	"authorization",
	"cookie",
	"set-cookie",
	"content-encoding",
	"content-type",
	"content-range",
	"trailer",
	"te",
	"upgrade",
]);

function fault(at: number, message: string): ChunkedStep {
	return { out: [], used: at, ended: false, fault: message };
}

function hexDigit(byte: number): number {
	if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
	const lower = byte | 0x20;
	return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
