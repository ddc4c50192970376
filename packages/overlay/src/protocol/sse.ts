/** One event of the stream as it goes over the wire (WHATWG HTML, server-sent events). @param data one line. */
export function encodeEvent(event: string, data: string, id?: string): Buffer {
	return Buffer.from(`${id === undefined ? "" : `id: ${id}\n`}event: ${event}\ndata: ${data}\n\n`);
}

export const keepAliveComment = Buffer.from(": keep-alive\n\n");

export interface StreamEvent {
	readonly event: string;
	readonly data: string;
	/** The last id seen so far; null when none was. */
	readonly id: string | null;
}

/** A line, or an event's data, may have this many bytes: a stream that sends more is cut. */
export const maxEventBytes = 1024 * 1024;

/** Reads a stream of events, in whatever pieces it comes. */
export class EventReader {
	#rest = "";
	#event = "";
	#data: string[] = [];
	#dataLength = 0;
	#id: string | null = null;
	readonly #decoder = new TextDecoder();

	/** @throws RangeError when the stream exceeds `maxEventBytes`. */
	push(bytes: Uint8Array): StreamEvent[] {
		const events: StreamEvent[] = [];
		const text = this.#rest + this.#decoder.decode(bytes, { stream: true });
		let from = 0;
		for (;;) {
			const end = text.indexOf("\n", from);
			if (end === -1) break;
			const line = text.charCodeAt(end - 1) === 13 && end > from ? text.slice(from, end - 1) : text.slice(from, end);
			from = end + 1;
			const event = this.#line(line);
			if (event !== null) events.push(event);
		}
		this.#rest = text.slice(from);
		if (this.#rest.length > maxEventBytes) throw new RangeError(`a line of the stream is longer than ${maxEventBytes}`);
		return events;
	}

	#line(line: string): StreamEvent | null {
		if (line === "") {
			const event =
				this.#data.length === 0 ? null : { event: this.#event || "message", data: this.#data.join("\n"), id: this.#id };
			this.#event = "";
			this.#data = [];
			this.#dataLength = 0;
			return event;
		}
		const colon = line.indexOf(":");
		if (colon === 0) return null;
		const field = colon === -1 ? line : line.slice(0, colon);
		const value = colon === -1 ? "" : line.slice(line.charAt(colon + 1) === " " ? colon + 2 : colon + 1);
		if (field === "event") this.#event = value;
		else if (field === "data") {
			this.#dataLength += value.length;
			if (this.#dataLength > maxEventBytes) throw new RangeError(`an event is longer than ${maxEventBytes}`);
			this.#data.push(value);
		} else if (field === "id" && !value.includes("\0")) this.#id = value;
		return null;
	}
}
