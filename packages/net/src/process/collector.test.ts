import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { bufferFlags, countBuffersAsHeap } from "./collector.ts";

/** A process with a heap of some 30 MB through which a gigabyte of reads passes; prints how often the heap was marked, and what is resident. */
const carrier = `
import { constants, PerformanceObserver } from "node:perf_hooks";
import { countBuffersAsHeap } from "${new URL("collector.ts", import.meta.url).href}";
countBuffersAsHeap();
const heap = Array.from({ length: 120_000 }, (_each, at) => ({ at, of: [at] }));
globalThis.gc();
let marks = 0;
const seen = new PerformanceObserver((list) => {
	for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) marks += 1;
});
seen.observe({ entryTypes: ["gc"] });
const held = [];
let most = 0;
for (let read = 0; read < 16_384; read++) {
	held.push(Buffer.allocUnsafeSlow(64 * 1024).fill(1));
	if (held.length > 128) held.shift();
	if (read % 64 === 0) {
		most = Math.max(most, process.memoryUsage.rss());
		await new Promise(setImmediate);
	}
}
// What was seen is told a turn later.
await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
console.log(JSON.stringify({ marks, most, heap: heap.length }));
`;

function carry(): { marks: number; most: number } {
	const args = ["--expose-gc", "--input-type=module", "--eval", carrier];
	const { stdout, stderr } = spawnSync(process.execPath, args, {
		encoding: "utf8",
		cwd: fileURLToPath(new URL(".", import.meta.url)),
	});
	if (stdout === "") throw new Error(stderr);
	return JSON.parse(stdout) as { marks: number; most: number };
}

describe("buffers counted as heap", () => {
	it("are settings that this runtime knows: an unknown one would be ignored in silence", () => {
		const known = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8" }).stdout;
		for (const flag of bufferFlags) {
			const name = flag.replace(/^--(no-)?/, "").replace(/=.*/, "");
			expect(known).toContain(`--${name} (`);
		}
	});

	it("a gigabyte of reads passes and the heap is hardly marked, in memory of less than a quarter of it", () => {
		const { marks, most } = carry();
		expect(marks).toBeLessThanOrEqual(2);
		expect(most).toBeLessThan(256 * 1024 * 1024);
	});

	it("may be set while buffers come and go, and twice", () => {
		const sizes: number[] = [];
		for (let read = 0; read < 64; read++) {
			if (read % 32 === 0) countBuffersAsHeap();
			sizes.push(new Uint8Array(64 * 1024).length);
		}
		expect(sizes).toHaveLength(64);
	});
});
