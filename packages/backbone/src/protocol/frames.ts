/**
 * Frames of a tunnel link, either direction: u8 type, u24 length of the payload (big-endian), payload. This file is the
 * wire document; SPEC.md has the rules.
 */
export const FrameType = {
	/** Both. Bytes of the open stream, at most 64 KiB. For UDP one frame is one datagram. */
	data: 0x00,
	/** → agent. Begins a stream: JSON `OpenRequest`. Only on an idle link. */
	open: 0x01,
	/** Both. This direction has ended as it should; nothing follows but the other direction. Empty. */
	end: 0x02,
	/** Both. The stream is broken, both directions: u16 code, UTF-8 reason. Answered by RESET unless one was sent. */
	reset: 0x03,
	/** Both. 8 bytes that come back in a PONG at once, whatever the stream does. */
	ping: 0x04,
	pong: 0x05,
	/** Both. No further OPEN on this link: u16 close code (1012, 4401, 4409…), UTF-8 reason. */
	goAway: 0x06,
	/** → agent. Dial this many more links: u16. */
	want: 0x07,
	/** → agent. First frame of a link: JSON `Welcome`. */
	welcome: 0x08,
} as const;

export const headerBytes = 4;
export const frameLimits = {
	/** Of DATA. */
	maxDataBytes: 64 * 1024,
	/** Of every other frame. */
	maxControlBytes: 16 * 1024,
} as const;

export const ResetCode = {
	/** The other end of the stream left. */
	cancelled: 1,
	/** The target refused the connection, or there is none. */
	refused: 2,
	/** The target did not take the connection in time. */
	timeout: 3,
	/** The target broke its connection. */
	targetLost: 4,
	protocol: 5,
	limit: 6,
} as const;

/** What an agent is told about the stream that begins. */
export interface OpenRequest {
	/** `http`: one HTTP/1.1 connection to the target, used for many requests. `h2`: one HTTP/2 connection. */
	readonly kind: "http" | "h2" | "tcp" | "udp";
	/** The far client, for PROXY protocol; absent on connections that many clients share. */
	readonly client?: { readonly address: string; readonly port: number };
	/** Where that client arrived. */
	readonly local?: { readonly address: string; readonly port: number };
	/** W3C Trace Context of the request for which the stream was begun; absent where nobody traces. */
	readonly traceparent?: string;
}

/** What an agent is told when its link stands. */
export interface Welcome {
	readonly service: string;
	readonly kind: "http" | "h2" | "tcp" | "udp";
	/** Where clients reach it: an URL, or `tcp://host:port`. */
	readonly url: string;
	/** Links that may stand at once for this agent. */
	readonly maxLinks: number;
	/** Idle links to keep ready. */
	readonly spareLinks: number;
	/** The server pings at least this often; silence of twice that is a dead link. */
	readonly pingMs: number;
}

/** Of OPEN. @returns null for what is none. */
export function parseOpen(payload: Buffer): OpenRequest | null {
	const open = parseRecord(payload);
	if (open === null || !["http", "h2", "tcp", "udp"].includes(open["kind"] as string)) return null;
	const { traceparent } = open;
	if (traceparent !== undefined && typeof traceparent !== "string") return null;
	return isPlace(open["client"]) && isPlace(open["local"]) ? (open as unknown as OpenRequest) : null;
}

/** Of WELCOME. @returns null for what is none. */
export function parseWelcome(payload: Buffer): Welcome | null {
	const welcome = parseRecord(payload);
	if (welcome === null || typeof welcome["url"] !== "string") return null;
	const counts = [welcome["maxLinks"], welcome["spareLinks"], welcome["pingMs"]];
	return counts.every((count) => Number.isSafeInteger(count) && Number(count) >= 0)
		? (welcome as unknown as Welcome)
		: null;
}

/** Of GOAWAY (a close code) and WANT (a count). @returns null for a payload that is too short to hold one. */
export function parseNumber(payload: Buffer): number | null {
	return payload.length < 2 ? null : payload.readUInt16BE(0);
}

function isPlace(place: unknown): boolean {
	if (place === undefined) return true;
	if (typeof place !== "object" || place === null) return false;
	const { address, port } = place as Record<string, unknown>;
	return typeof address === "string" && Number.isInteger(port);
}

function parseRecord(payload: Buffer): Record<string, unknown> | null {
	try {
		const value: unknown = JSON.parse(payload.toString("utf8"));
		return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
	} catch {
		// Whoever reads it says what it should have been.
		return null;
	}
}

export function encodeFrame(type: number, payload: Uint8Array | string = ""): Buffer {
	const length = typeof payload === "string" ? Buffer.byteLength(payload) : payload.length;
	const frame = Buffer.allocUnsafe(headerBytes + length);
	writeHeader(frame, 0, type, length);
	if (typeof payload === "string") frame.write(payload, headerBytes);
	else frame.set(payload, headerBytes);
	return frame;
}

/** @param code of RESET (`ResetCode`) or GOAWAY (a close code). */
export function encodeCoded(type: number, code: number, reason: string): Buffer {
	const text = Buffer.from(reason.slice(0, 500));
	const payload = Buffer.allocUnsafe(2 + text.length);
	payload.writeUInt16BE(code);
	payload.set(text, 2);
	return encodeFrame(type, payload);
}

export function writeHeader(to: Buffer, at: number, type: number, length: number): void {
	to[at] = type;
	to[at + 1] = length >>> 16;
	to[at + 2] = (length >>> 8) & 0xff;
	to[at + 3] = length & 0xff;
}

/** What a reader found. DATA comes in pieces as they arrive; every other frame comes whole. */
export interface FrameSink {
	/** @param last the frame ends with this piece. */
	onData(piece: Buffer, last: boolean): void;
	onControl(type: number, payload: Buffer): void;
	/** Whether to go on: a sink that closed its link is not fed the rest. */
	readonly reading: boolean;
}

/** Splits a byte stream into frames. Holds at most one control frame. */
export class FrameReader {
	// Numbers, not a buffer for a header's pieces: ten thousand links wait with one of these each.
	#headerSeen = 0;
	#header = 0;
	#type = -1;
	#left = 0;
	#control: Buffer | null = null;
	#controlSeen = 0;

	/** @returns null, or what is wrong: the link must be closed then. */
	feed(chunk: Buffer, sink: FrameSink): string | null {
		let at = 0;
		const end = chunk.length;
		while (at < end && sink.reading) {
			if (this.#type === -1) {
				if (this.#headerSeen === 0 && end - at >= headerBytes) {
					this.#type = chunk[at] as number;
					this.#left = (chunk[at + 1]! << 16) | (chunk[at + 2]! << 8) | chunk[at + 3]!;
					at += headerBytes;
				} else {
					// Four bytes: what an earlier header left behind is shifted out.
					this.#header = (this.#header << 8) | (chunk[at++] as number);
					if (++this.#headerSeen < headerBytes) continue;
					this.#headerSeen = 0;
					this.#type = this.#header >>> 24;
					this.#left = this.#header & 0xff_ff_ff;
				}
				const fault = this.#begin(sink);
				if (fault !== null) return fault;
				continue;
			}
			const take = Math.min(this.#left, end - at);
			if (this.#type === FrameType.data) {
				this.#left -= take;
				const last = this.#left === 0;
				if (last) this.#type = -1;
				sink.onData(chunk.subarray(at, at + take), last);
				at += take;
				continue;
			}
			const control = this.#control as Buffer;
			chunk.copy(control, this.#controlSeen, at, at + take);
			this.#controlSeen += take;
			this.#left -= take;
			at += take;
			if (this.#left === 0) this.#finish(sink, control);
		}
		return null;
	}

	#begin(sink: FrameSink): string | null {
		const type = this.#type;
		const length = this.#left;
		if (type > FrameType.welcome) return `unknown frame type 0x${type.toString(16)}`;
		if (type === FrameType.data) {
			if (length > frameLimits.maxDataBytes) return `DATA of ${length} bytes, above ${frameLimits.maxDataBytes}`;
			if (length === 0) {
				this.#type = -1;
				sink.onData(Buffer.alloc(0), true);
			}
			return null;
		}
		if (length > frameLimits.maxControlBytes)
			return `frame 0x${type.toString(16)} of ${length} bytes, above ${frameLimits.maxControlBytes}`;
		this.#control = Buffer.allocUnsafe(length);
		this.#controlSeen = 0;
		if (length === 0) this.#finish(sink, this.#control);
		return null;
	}

	#finish(sink: FrameSink, control: Buffer): void {
		const type = this.#type;
		this.#type = -1;
		this.#control = null;
		sink.onControl(type, control);
	}
}
