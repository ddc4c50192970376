import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { bufferFlag, countBuffersAsHeap } from "./collector.ts";

describe("buffers counted as heap", () => {
	it("is a setting that this runtime knows: an unknown one would be ignored in silence", () => {
		const known = spawnSync(process.execPath, ["--v8-options"], { encoding: "utf8" }).stdout;
		expect(known).toContain(`${bufferFlag} (`);
	});

	it("may be set while buffers come and go", () => {
		const sizes: number[] = [];
		for (let read = 0; read < 64; read++) {
			if (read === 32) countBuffersAsHeap();
			sizes.push(new Uint8Array(64 * 1024).length);
		}
		expect(sizes).toHaveLength(64);
	});
});
