import { describe, expect, it } from "vitest";
import { LaneRecord, laneLimits, RecordReader, recordBytes, writeRecord } from "./lanes.ts";

function record(type: number, lane: number, value: number): Buffer {
	const bytes = Buffer.alloc(recordBytes);
	writeRecord(bytes, 0, type, lane, value);
	return bytes;
}

function read(bytes: Buffer, size: number): { seen: string[]; fault: string | null } {
	const seen: string[] = [];
	const sink = {
		reading: true,
		onBytes(lane: number, piece: Buffer) {
			const last = seen.at(-1);
			// However it was cut, a lane's bytes are one text.
			if (last?.startsWith(`${lane}: `)) seen[seen.length - 1] = last + piece.toString("latin1");
			else seen.push(`${lane}: ${piece.toString("latin1")}`);
		},
		onRecord: (type: number, lane: number, value: number) => void seen.push(`${type} ${lane} ${value}`),
	};
	const reader = new RecordReader();
	for (let at = 0; at < bytes.length; at += size) {
		const fault = reader.feed(bytes.subarray(at, at + size), sink);
		if (fault !== null) return { seen, fault };
	}
	return { seen, fault: null };
}

describe("records of a shared connection", () => {
	it.each([
		[record(LaneRecord.bytes, 1, 2), "0000000100000002"],
		[record(LaneRecord.open, 0x123456, 0), "0112345600000000"],
		[record(LaneRecord.credit, 7, 0x80000001), "0200000780000001"],
	])("M1: %o is %s", (bytes, hex) => expect(bytes.toString("hex")).toBe(hex));

	it("M1: mean the same wherever the bytes are cut", () => {
		const bytes = Buffer.concat([
			record(LaneRecord.open, 0, 0),
			record(LaneRecord.bytes, 0, 5),
			Buffer.from("hello"),
			record(LaneRecord.credit, 3, 0xffffffff),
			record(LaneRecord.bytes, 2, 2),
			Buffer.from("hi"),
			record(LaneRecord.close, 2, 0),
		]);
		for (let size = 1; size <= bytes.length; size++)
			expect(read(bytes, size)).toEqual({
				seen: ["1 0 0", "0: hello", "2 3 4294967295", "2: hi", "4 2 0"],
				fault: null,
			});
	});

	it("M3: above the limit, and of unknown types, they are refused before a byte is kept", () => {
		const fault = (bytes: Buffer) => read(bytes, bytes.length).fault;
		expect(fault(record(LaneRecord.bytes, 0, laneLimits.maxRecordBytes))).toBeNull();
		expect(fault(record(LaneRecord.bytes, 0, laneLimits.maxRecordBytes + 1))).toMatch(/131073/);
		expect(fault(record(0x05, 0, 0))).toMatch(/unknown/);
	});
});
