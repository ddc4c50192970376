import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hasBadBytes } from "./head-bytes.ts";
import { HeadLines } from "./head-lines.ts";

/** Bytes that heads are cut by, and some others. */
const bytes = fc
	.array(fc.constantFrom("\r\n", "\r\n", "\r\n\r\n", "\r", "\n", ":", " ", "\t", "a", "Host", "é", "\0", "\x7f"), {
		maxLength: 24,
	})
	.map((pieces) => Buffer.from(pieces.join(""), "latin1"));

describe("the lines of a head", () => {
	it("are what a search for each of them finds, whatever the bytes", () => {
		const lines = new HeadLines();
		let whole = 0;
		fc.assert(
			fc.property(bytes, (head) => {
				const end = head.indexOf("\r\n\r\n");
				expect(lines.read(head)).toBe(end !== -1);
				if (end === -1) return;
				whole += 1;
				const text = head.toString("latin1", 0, end + 4);
				const expected = text.slice(0, -4).split("\r\n");
				expect([lines.length, lines.count, lines.hasBadBytes]).toEqual([end + 4, expected.length, hasBadBytes(text)]);
				let at = 0;
				for (const [number, line] of expected.entries()) {
					const colon = line.indexOf(":");
					expect([lines.ends[number], lines.colons[number]]).toEqual([
						at + line.length,
						colon === -1 ? -1 : at + colon,
					]);
					at += line.length + 2;
				}
			}),
			{ numRuns: 2000 },
		);
		expect(whole).toBeGreaterThan(500);
	});

	it("are counted beyond what may be kept of them", () => {
		const lines = new HeadLines();
		expect(lines.read(Buffer.from(`GET / HTTP/1.1\r\n${"a: b\r\n".repeat(5000)}\r\n`))).toBe(true);
		expect(lines.count).toBe(5001);
	});

	it("tell nothing of the head before", () => {
		const lines = new HeadLines();
		lines.read(Buffer.from("GET / HTTP/1.1\r\nA: \0\r\nB: c\r\n\r\n"));
		expect(lines.hasBadBytes).toBe(true);
		expect(lines.read(Buffer.from("GET / HTTP/1.1\r\n\r\nrest"))).toBe(true);
		expect([lines.length, lines.count, lines.hasBadBytes]).toEqual([18, 1, false]);
	});
});
