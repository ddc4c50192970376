import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { HeldBytes } from "./held-bytes.ts";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

describe("bytes that wait for a reader", () => {
	it("come in order, whatever the sizes of their pieces", () => {
		const held = new HeldBytes();
		const sizes = [1, 40_000, 5, 16_384, 3, 70_000, 20_000, 2];
		const sent = Buffer.concat(sizes.map((size, at) => Buffer.alloc(size, at + 1)));
		let at = 0;
		for (const size of sizes) held.push(Buffer.from(sent.subarray(at, (at += size))));
		expect(held.length).toBe(sent.length);

		const read: Buffer[] = [];
		for (let piece = held.shift(); piece !== null; piece = held.shift()) read.push(piece);
		expect(Buffer.concat(read).equals(sent)).toBe(true);
		expect(held.length).toBe(0);
	});

	it("are let go of as they are read, also where there is never nothing left", async () => {
		const held = new HeldBytes();
		const read: WeakRef<Buffer>[] = [];
		held.push(Buffer.alloc(64 * 1024));
		for (let each = 0; each < 1000; each++) {
			held.push(Buffer.alloc(64 * 1024));
			read.push(new WeakRef(held.shift() as Buffer));
		}
		// A reference lives until its turn of the event loop is over.
		await new Promise(setImmediate);
		collect();
		// What was read last may still be on the stack.
		expect(read.filter((each) => each.deref() !== undefined).length).toBeLessThan(10);
		expect(held.length).toBe(64 * 1024);
	});
});
