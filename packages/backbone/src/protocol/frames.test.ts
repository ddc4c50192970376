import { describe, expect, it } from "vitest";
import { encodeCoded, encodeFrame, FrameReader, FrameType, frameLimits } from "./frames.ts";

function read(bytes: Buffer, size: number): { frames: string[]; fault: string | null } {
	const frames: string[] = [];
	let data = "";
	const sink = {
		reading: true,
		onData(piece: Buffer, last: boolean) {
			data += piece.toString("latin1");
			if (last) {
				frames.push(`data ${data}`);
				data = "";
			}
		},
		onControl: (type: number, payload: Buffer) => void frames.push(`${type} ${payload.toString("latin1")}`),
	};
	const reader = new FrameReader();
	for (let at = 0; at < bytes.length; at += size) {
		const fault = reader.feed(bytes.subarray(at, at + size), sink);
		if (fault !== null) return { frames, fault };
	}
	return { frames, fault: null };
}

describe("frames", () => {
	it.each([
		[encodeFrame(FrameType.data, "hi"), "000000026869"],
		[encodeFrame(FrameType.end), "02000000"],
		[encodeCoded(FrameType.reset, 2, "no"), "0300000400026e6f"],
	])("F1: %o is %s", (frame, hex) => expect(frame.toString("hex")).toBe(hex));

	it("F2: come out the same wherever the bytes are cut", () => {
		const bytes = Buffer.concat([
			encodeFrame(FrameType.open, "{}"),
			encodeFrame(FrameType.data, "hello"),
			encodeFrame(FrameType.data),
			encodeFrame(FrameType.ping, "12345678"),
			encodeFrame(FrameType.end),
		]);
		for (let size = 1; size <= bytes.length; size++)
			expect(read(bytes, size)).toEqual({ frames: ["1 {}", "data hello", "data ", "4 12345678", "2 "], fault: null });
	});

	it("F3: above a limit, and of unknown types, they are refused before a byte is kept", () => {
		const head = (type: number, length: number) => Buffer.from([type, length >> 16, (length >> 8) & 255, length & 255]);
		expect(read(head(FrameType.data, frameLimits.maxDataBytes), 4).fault).toBeNull();
		expect(read(head(FrameType.data, frameLimits.maxDataBytes + 1), 4).fault).toMatch(/65537/);
		expect(read(head(FrameType.open, frameLimits.maxControlBytes + 1), 4).fault).toMatch(/16385/);
		expect(read(head(0x09, 0), 4).fault).toMatch(/unknown/);
	});
});
