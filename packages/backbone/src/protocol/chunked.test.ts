import { describe, expect, it } from "vitest";
import { ChunkedBody } from "./chunked.ts";

/** Feeds a body in pieces of one size. */
function feed(text: string, size: number): { out: string; rest: string; ended: boolean; fault: string | null } {
	const body = new ChunkedBody();
	let out = "";
	for (let at = 0; at < text.length; at += size) {
		const piece = Buffer.from(text.slice(at, at + size), "latin1");
		const step = body.feed(piece);
		if (step.fault !== null) return { out, rest: "", ended: false, fault: step.fault };
		for (const each of step.out) out += each.toString("latin1");
		if (step.ended) return { out, rest: text.slice(at + step.used), ended: true, fault: null };
	}
	return { out, rest: "", ended: false, fault: null };
}

const good = "5\r\nhello\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\nX_Mosb_Sub: forged\r\n\r\n";

describe("a chunked body", () => {
	it("P2: gives what its chunks carry, and its trailers without ours, wherever it is cut", () => {
		for (let size = 1; size <= good.length + 4; size++) {
			const body = new ChunkedBody(true);
			let out = "";
			let used = 0;
			for (let at = 0; at < good.length; at += size) {
				const step = body.feed(Buffer.from(`${good}GET`.slice(at, at + size), "latin1"));
				for (const each of step.out) out += each.toString("latin1");
				used += step.used;
				if (step.ended) break;
			}
			expect([out, body.trailers, used], `pieces of ${size}`).toEqual(["hello0123456789", "x-sum: 1\r\n", good.length]);
		}
	});

	it("C1: passes byte for byte, its trailers without ours, wherever it is cut, and leaves what follows", () => {
		for (let size = 1; size <= good.length + 4; size++) {
			expect(feed(`${good}GET`, size), `pieces of ${size}`).toMatchObject({
				out: "5\r\nhello\r\nA\r\n0123456789\r\n0\r\nx-sum: 1\r\n\r\n",
				ended: true,
				rest: "GET",
			});
		}
	});

	it.each([
		"5;ext=1\r\nhello\r\n0\r\n\r\n",
		"5 \r\nhello\r\n0\r\n\r\n",
		" 5\r\nhello\r\n0\r\n\r\n",
		"0x5\r\nhello\r\n0\r\n\r\n",
		"+5\r\nhello\r\n0\r\n\r\n",
		"5\nhello\r\n0\r\n\r\n",
		"5\r\nhello!\r\n0\r\n\r\n",
		"5\r\nhello\n0\r\n\r\n",
		"\r\n0\r\n\r\n",
		"1000000000000\r\n",
		"0\r\nbad trailer: 1\r\n\r\n",
		"0\r\nx: a\rb\r\n\r\n",
	])("C2: %j is refused", (text) => {
		expect(feed(text, text.length).fault).not.toBeNull();
		expect(feed(text, 1).fault).not.toBeNull();
	});

	it("C3: trailers above their limit are refused", () => {
		expect(feed(`0\r\nx: ${"a".repeat(20_000)}`, 1024).fault).toMatch(/too long/);
	});
});
