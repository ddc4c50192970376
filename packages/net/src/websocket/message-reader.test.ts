import { SeededRandom } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { MessageReader } from "./message-reader.ts";

/** A client's, masked. */
function textFrame(text: string): Buffer {
	const payload = Buffer.from(text);
	const length = payload.length < 126 ? Buffer.from([0x80 | payload.length]) : Buffer.alloc(9, 0x80 | 127);
	if (length.length > 1) length.writeBigUInt64BE(BigInt(payload.length), 1);
	const mask = Buffer.from([1, 2, 3, 4]);
	const masked = payload.map((byte, at) => byte ^ (mask[at % 4] as number));
	return Buffer.concat([Buffer.from([0x81]), length, mask, masked]);
}

function readerInto(texts: string[]): MessageReader {
	return new MessageReader(
		{
			onText: (text) => void texts.push(text),
			onPing: () => {},
			onClose: () => {},
			onFault: (code, reason) => expect.unreachable(`${code} ${reason}`),
		},
		1024 * 1024,
	);
}

const pieces = (bytes: Buffer, size: number) =>
	Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) =>
		Buffer.from(bytes.subarray(at * size, (at + 1) * size)),
	);

const spent = (work: () => void) => {
	const before = process.cpuUsage();
	work();
	const { user, system } = process.cpuUsage(before);
	return user + system;
};

describe("frames of a client", () => {
	it("are the same messages however the network cuts them", () => {
		const sent = ["", "a", "b".repeat(125), "é".repeat(300), "c".repeat(70_000), "d", "e".repeat(5_000)];
		const bytes = Buffer.concat(sent.map(textFrame));
		const random = new SeededRandom(7);
		for (let round = 0; round < 50; round++) {
			const texts: string[] = [];
			const reader = readerInto(texts);
			const widest = 1 + Math.floor(random.fraction() ** 4 * 100_000);
			for (let at = 0; at < bytes.length; ) {
				const end = at + 1 + Math.floor(random.fraction() * widest);
				reader.read(Buffer.from(bytes.subarray(at, end)));
				at = end;
			}
			expect(texts, `seed 7, round ${round}`).toEqual(sent);
		}
	});

	it("in many small reads cost no more by the byte where they are large", () => {
		const whole: string[] = [];
		const one = textFrame("0123456789");
		const small = Array.from({ length: 32_768 }, () => Buffer.from(one));
		const reader = readerInto(whole);
		const base = spent(() => {
			for (const frame of small) reader.read(frame);
		});
		const texts: string[] = [];
		const large = pieces(textFrame("x".repeat(32_768 * one.length)), one.length);
		const other = readerInto(texts);
		const cost = spent(() => {
			for (const piece of large) other.read(piece);
		});
		expect([whole.length, texts.length]).toEqual([32_768, 1]);
		expect(cost / base).toBeLessThan(10);
	});
});
