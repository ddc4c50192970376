import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeClientFrame, decodeServerFrame } from "./decode-frame.ts";
import {
	encodeAck,
	encodeEvent,
	encodeExit,
	encodeHello,
	encodeInput,
	encodeInputAck,
	encodeOutput,
	encodePing,
	encodePong,
	encodeRepaint,
	encodeReset,
	encodeResize,
	encodeWelcome,
} from "./encode-frame.ts";
import { maxClientMessageBytes, maxInputFrameBytes, viewerModes } from "./frames.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));
const ascii = (text: string) => hex(new TextEncoder().encode(text));

describe("the wire, byte for byte", () => {
	const hello = { output: 5, input: 2, cols: 80, rows: 24, mode: "fit" } as const;
	test.each([
		["hello", encodeHello(hello), `01${ascii('{"output":5,"input":2,"cols":80,"rows":24,"mode":"fit"}')}`],
		["input", encodeInput(258, bytes("6c73")), "0200000000000001026c73"],
		["ack", encodeAck(2 ** 53 - 1), "03001fffffffffffff"],
		["ack over 32 bits", encodeAck(2 ** 32 + 7), "030000000100000007"],
		["resize", encodeResize(120, 40, "read-only"), "0400780028" + "02"],
		["repaint", encodeRepaint(), "05"],
		["ping", encodePing(0xdeadbeef), "06deadbeef"],
		["output", encodeOutput(0, bytes("1b5b48")), "8200000000000000001b5b48"],
		["input-ack", encodeInputAck(3), "840000000000000003"],
		["event", encodeEvent({ type: "bell" }), `85${ascii('{"type":"bell"}')}`],
		["exit", encodeExit("killed"), `86${ascii('{"reason":"killed"}')}`],
		["pong", encodePong(1), "8700000001"],
	])("%s", (_, message, expected) => expect(hex(message)).toBe(expected));
});

describe("T2 what is not a frame is named", () => {
	test.each([
		["", "empty", "none"],
		["7f", "unknown-type", "0x7f"],
		["82" + "00".repeat(8), "unknown-type", "0x82"],
		["02000000", "too-short", "input"],
		["0200200000000000006c", "number-too-large", "input"],
		["03ffffffffffffffff", "number-too-large", "ack"],
		["03000000000000000000", "too-long", "ack"],
		["04007800", "too-short", "resize"],
		["0400780028" + "03", "bad-field", "resize"],
		["0400000028" + "00", "bad-field", "resize"],
		["040078" + "03e9" + "00", "bad-field", "resize"],
		["0500", "too-long", "repaint"],
		["06", "too-short", "ping"],
		["01", "invalid-json", "hello"],
		["01ff", "invalid-json", "hello"],
		[`01${ascii("[]")}`, "invalid-json", "hello"],
		[`01${ascii('{"output":-1,"input":0,"cols":80,"rows":24,"mode":"fit"}')}`, "bad-field", "hello"],
		[`01${ascii('{"output":1e300,"input":0,"cols":80,"rows":24,"mode":"fit"}')}`, "bad-field", "hello"],
		[`01${ascii('{"output":0,"input":0,"cols":0,"rows":24,"mode":"fit"}')}`, "bad-field", "hello"],
		[`01${ascii('{"output":0,"input":0,"cols":80,"rows":24,"mode":"huge"}')}`, "bad-field", "hello"],
		[`01${ascii('{"viewer":"","output":0,"input":0,"cols":80,"rows":24,"mode":"fit"}')}`, "bad-field", "hello"],
		[`01${"20".repeat(16 * 1024 + 1)}`, "too-long", "hello"],
	])("client %s → %s of %s", (message, code, frame) => {
		expect(decodeClientFrame(bytes(message))).toMatchObject({ type: "error", code, frame });
	});

	test("the longest input frame is taken, one byte more is not", () => {
		expect(decodeClientFrame(encodeInput(0, new Uint8Array(maxInputFrameBytes))).type).toBe("input");
		const longer = new Uint8Array(maxClientMessageBytes + 1);
		longer[0] = 2;
		expect(decodeClientFrame(longer)).toMatchObject({ type: "error", code: "too-long" });
		expect(() => encodeInput(0, new Uint8Array(maxInputFrameBytes + 1))).toThrow(RangeError);
	});

	test("any bytes give a frame or a named error, never an exception", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 64 }), (message) => {
				expect(decodeClientFrame(message).type).toBeTypeOf("string");
				expect(decodeServerFrame(message).type).toBeTypeOf("string");
			}),
		);
	});
});

describe("what is encoded is decoded", () => {
	const offset = fc.nat({ max: Number.MAX_SAFE_INTEGER });
	const payload = fc.uint8Array({ maxLength: 200 });
	const side = fc.integer({ min: 1, max: 1000 });
	const mode = fc.constantFrom(...viewerModes);
	const viewer = fc.string({ minLength: 1, maxLength: 20 });

	test("client frames", () => {
		fc.assert(
			fc.property(offset, payload, side, side, mode, viewer, (n, data, cols, rows, as, id) => {
				const hello = { viewer: id, output: n, input: n, cols, rows, mode: as };
				expect(decodeClientFrame(encodeHello(hello))).toEqual({ type: "hello", hello });
				expect(decodeClientFrame(encodeInput(n, data))).toEqual({ type: "input", offset: n, bytes: data });
				expect(decodeClientFrame(encodeAck(n))).toEqual({ type: "ack", output: n });
				expect(decodeClientFrame(encodeResize(cols, rows, as))).toEqual({ type: "resize", cols, rows, mode: as });
				expect(decodeClientFrame(encodePing(n % 2 ** 32))).toEqual({ type: "ping", token: n % 2 ** 32 });
			}),
		);
	});

	test("server frames", () => {
		fc.assert(
			fc.property(offset, payload, side, side, mode, viewer, (n, data, cols, rows, as, id) => {
				const session = { id: "warren.1", name: id };
				const size = { cols, rows };
				const welcome = { viewer: id, session, output: n, input: n, resumed: true, readOnly: false, mode: as, ...size };
				const whole = { ...welcome, windowBytes: n };
				expect(decodeServerFrame(encodeWelcome(whole))).toEqual({ type: "welcome", welcome: whole });
				expect(decodeServerFrame(encodeOutput(n, data))).toEqual({ type: "output", offset: n, bytes: data });
				const reset = { output: n, reason: "too-old", missedBytes: n } as const;
				expect(decodeServerFrame(encodeReset(reset))).toEqual({ type: "reset", reset });
				expect(decodeServerFrame(encodeInputAck(n))).toEqual({ type: "input-ack", input: n });
				const event = { type: "size", ...size } as const;
				expect(decodeServerFrame(encodeEvent(event))).toEqual({ type: "event", event });
			}),
		);
	});

	test("a view into a larger buffer is read at its own place", () => {
		const inner = encodeInput(77, bytes("616263"));
		const outer = new Uint8Array(inner.length + 10);
		outer.set(inner, 5);
		expect(decodeClientFrame(outer.subarray(5, 5 + inner.length))).toEqual(decodeClientFrame(inner));
	});
});
