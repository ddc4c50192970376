/**
 * Records of a shared connection, either direction: u8 type, u24 lane, u32 value (big-endian). A lane is a channel of its
 * own: its bytes are the frames of one link. This file is the wire document; SPEC.md has the rules (M1 to M5).
 */
export const LaneRecord = {
	/** Both. Bytes of a lane, as many as the value says; at most 128 KiB. */
	bytes: 0x00,
	/** → agent. A lane begins. Numbers rise by one from 0, which is the connection's own link. */
	open: 0x01,
	/** Both. So many further bytes may come on the lane. */
	credit: 0x02,
	/** Both. More is there than the credit lets through; a value other than 0 = so many bytes come next. */
	blocked: 0x03,
	/** Both. The lane is gone; said once, nothing answers it. */
	close: 0x04,
} as const;

export const recordBytes = 8;
export const laneLimits = {
	maxRecordBytes: 128 * 1024,
	/** Lane numbers of one connection; the last one retires it. */
	maxLanes: 0xff_ff_ff,
	/**
	 * Credit of a lane when it begins, and what it may grow to while its reader takes all that comes, a step a round trip.
	 * The steps before the widest one together are about what sockets' own buffers take of a reader that stands: who has
	 * taken more than that reads. The widest is 1.3 GB/s at a round trip of 100 ms.
	 */
	windowBytes: [256 * 1024, 8 * 1024 * 1024, 32 * 1024 * 1024, 128 * 1024 * 1024],
	/** What has been taken is granted anew at half of the window, or at this. */
	maxGrantBytes: 512 * 1024,
	/** Beyond their first windows, all lanes of a process together, server or agent: so large a part of its memory. */
	extra: { part: 32, leastBytes: 32 * 1024 * 1024, mostBytes: 512 * 1024 * 1024 },
} as const;
export const firstWindowBytes = laneLimits.windowBytes[0];
export const maxWindowBytes = laneLimits.windowBytes[3];

export function writeRecord(to: Uint8Array, at: number, type: number, lane: number, value: number): void {
	to[at] = type;
	to[at + 1] = lane >>> 16;
	to[at + 2] = (lane >>> 8) & 0xff;
	to[at + 3] = lane & 0xff;
	to[at + 4] = value >>> 24;
	to[at + 5] = (value >>> 16) & 0xff;
	to[at + 6] = (value >>> 8) & 0xff;
	to[at + 7] = value & 0xff;
}

/** What a reader found. Bytes come in pieces as they arrive. */
export interface RecordSink {
	onBytes(lane: number, piece: Buffer): void;
	onRecord(type: number, lane: number, value: number): void;
	/** Whether to go on: a sink that closed its connection is not fed the rest. */
	readonly reading: boolean;
}

/** Splits a byte stream into records. Holds a header at most. */
export class RecordReader {
	readonly #header = Buffer.alloc(recordBytes);
	#seen = 0;
	#lane = 0;
	#left = 0;

	/** @returns null, or what is wrong: the connection must be closed then. */
	feed(chunk: Buffer, sink: RecordSink): string | null {
		const end = chunk.length;
		let at = 0;
		while (at < end && sink.reading) {
			if (this.#left > 0) {
				const take = Math.min(this.#left, end - at);
				this.#left -= take;
				sink.onBytes(this.#lane, at === 0 && take === end ? chunk : chunk.subarray(at, at + take));
				at += take;
				continue;
			}
			let header = chunk;
			let from = at;
			if (this.#seen === 0 && end - at >= recordBytes) at += recordBytes;
			else {
				const take = Math.min(recordBytes - this.#seen, end - at);
				chunk.copy(this.#header, this.#seen, at, at + take);
				this.#seen += take;
				at += take;
				if (this.#seen < recordBytes) return null;
				this.#seen = 0;
				header = this.#header;
				from = 0;
			}
			const type = header[from] as number;
			const lane = header.readUIntBE(from + 1, 3);
			const value = header.readUInt32BE(from + 4);
			if (type > LaneRecord.close) return `unknown record type 0x${type.toString(16)}`;
			if (type !== LaneRecord.bytes) {
				sink.onRecord(type, lane, value);
				continue;
			}
			if (value > laneLimits.maxRecordBytes) return `a record of ${value} bytes, above ${laneLimits.maxRecordBytes}`;
			this.#lane = lane;
			this.#left = value;
		}
		return null;
	}
}
