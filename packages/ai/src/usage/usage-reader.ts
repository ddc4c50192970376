import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { aiLimits } from "../limits.ts";
import { readUsage, type TokenCounts, type UsageFacts } from "./token-counts.ts";

export interface ReadUsage {
	readonly model: string | null;
	readonly counts: TokenCounts;
	/** The provider did not say: counted from bytes and events instead. */
	readonly estimated: boolean;
}

/** What the estimate takes for one token. */
const bytesPerToken = 4;
const markers = [
	Buffer.from('"usage":{'),
	Buffer.from('"usage": {'),
	Buffer.from('"usageMetadata"'),
	Buffer.from("eval_count"),
];
const modelMarker = Buffer.from('"model');
const newline = 10;

/**
 * Reads model and tokens off an answer as it passes, and changes nothing of it: the stream goes on whatever happens
 * here. Lines of streams are looked at only when they could say something; what is too long to hold is estimated.
 */
export class UsageReader {
	readonly #lines: boolean;
	readonly #encoding: string;
	readonly #requestBytes: number;
	#held: Buffer[] = [];
	#heldBytes = 0;
	/** Of a line or body that grew too long. */
	#skipping = false;
	#bytes = 0;
	#events = 0;
	#model: string | null = null;
	#counts: Partial<TokenCounts> = {};

	/** @param requestBytes of the request's body, for an estimate of its tokens. */
	constructor(contentType: string, contentEncoding: string, requestBytes: number) {
		this.#encoding = contentEncoding.trim().toLowerCase();
		this.#lines = this.#encoding === "" || this.#encoding === "identity" ? isStream(contentType) : false;
		this.#requestBytes = requestBytes;
	}

	push(chunk: Buffer): void {
		this.#bytes += chunk.length;
		if (!this.#lines) return this.#hold(chunk, aiLimits.maxMeteredBodyBytes);
		let start = 0;
		for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
			const part = chunk.subarray(start, end);
			start = end + 1;
			if (this.#heldBytes === 0 && !this.#skipping) this.#line(part);
			else {
				this.#hold(part, aiLimits.maxMeteredLineBytes);
				if (!this.#skipping) this.#line(Buffer.concat(this.#held));
				this.#release();
			}
		}
		if (start < chunk.length) this.#hold(chunk.subarray(start), aiLimits.maxMeteredLineBytes);
	}

	/** Safe at any moment: a stream that broke off has what was said until then. */
	end(): ReadUsage {
		if (this.#lines) {
			if (this.#heldBytes > 0 && !this.#skipping) this.#line(Buffer.concat(this.#held));
		} else if (this.#heldBytes > 0 && !this.#skipping) this.#whole(Buffer.concat(this.#held));
		this.#release();
		const { input, output, cached } = this.#counts;
		// Zero out of something is a provider that does not count: some say so at first and correct it at the end.
		const saidOutput = output !== undefined && (output > 0 || this.#bytes === 0);
		return {
			model: this.#model,
			counts: {
				input: input ?? Math.ceil(this.#requestBytes / bytesPerToken),
				output: saidOutput ? Math.max(output, 0) : this.#estimatedOutput(),
				cached: cached ?? 0,
			},
			estimated: input === undefined || !saidOutput,
		};
	}

	/** Providers send about one token an event. */
	#estimatedOutput(): number {
		return this.#lines ? this.#events : Math.ceil(this.#bytes / bytesPerToken);
	}

	#hold(part: Buffer, limit: number): void {
		if (this.#skipping || part.length === 0) return;
		if (this.#heldBytes + part.length > limit) {
			this.#release();
			this.#skipping = true;
			return;
		}
		this.#held.push(part);
		this.#heldBytes += part.length;
	}

	#release(): void {
		this.#held = [];
		this.#heldBytes = 0;
		this.#skipping = false;
	}

	#line(line: Buffer): void {
		const brace = line.indexOf(0x7b);
		// `data: {…}` of an event stream, or `{…}` of newline-delimited JSON.
		if (brace === -1 || brace > 8) return;
		this.#events += 1;
		if (!markers.some((marker) => line.includes(marker)) && (this.#model !== null || !line.includes(modelMarker)))
			return;
		this.#take(parseJson(line.subarray(brace).toString("utf8")));
	}

	#whole(body: Buffer): void {
		const text = decode(body, this.#encoding);
		const value = text === null ? null : parseJson(text);
		// Gemini's stream without `alt=sse` is one array.
		for (const each of Array.isArray(value) ? value : [value]) this.#take(each);
	}

	#take(value: unknown): void {
		const { model, counts }: UsageFacts = readUsage(value);
		if (model !== undefined) this.#model ??= model.slice(0, aiLimits.maxModelNameLength);
		this.#counts = { ...this.#counts, ...counts };
	}
}

function isStream(contentType: string): boolean {
	return /^(text\/event-stream|application\/(x-ndjson|ndjson|jsonl|stream\+json))\b/i.test(contentType);
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		// Not ours to judge: it passes on as it is, and is counted by its size.
		return null;
	}
}

function decode(body: Buffer, encoding: string): string | null {
	const options = { maxOutputLength: aiLimits.maxMeteredBodyBytes };
	try {
		switch (encoding) {
			case "":
			case "identity":
				return body.toString("utf8");
			case "gzip":
				return gunzipSync(body, options).toString("utf8");
			case "deflate":
				return inflateSync(body, options).toString("utf8");
			case "br":
				return brotliDecompressSync(body, options).toString("utf8");
			default:
				return null;
		}
	} catch {
		// Cut off in the middle, or larger than it says.
		return null;
	}
}
