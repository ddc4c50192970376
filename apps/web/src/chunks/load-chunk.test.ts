import { describe, expect, it } from "vitest";
import { ChunkError, chunkLimits, loadChunk } from "./load-chunk.ts";

function failing(times: number, failure = new TypeError("Failed to fetch dynamically imported module")) {
	const waits: number[] = [];
	const styles: string[] = [];
	let asked = 0;
	return {
		waits,
		styles,
		asked: () => asked,
		load: async () => {
			asked += 1;
			if (asked <= times) throw failure;
			return "page";
		},
		deps: {
			wait: async (ms: number) => void waits.push(ms),
			style: async (url: string) => void styles.push(url),
			random: () => 1,
		},
	};
}

describe("a piece of the page", () => {
	it("is asked for once when it arrives", async () => {
		const each = failing(0);
		expect(await loadChunk(each.load, each.deps)).toBe("page");
		expect(each.asked()).toBe(1);
		expect(each.waits).toEqual([]);
	});

	it("is asked for again, ever later, when the network blinks", async () => {
		const each = failing(chunkLimits.attempts - 1);
		expect(await loadChunk(each.load, each.deps)).toBe("page");
		expect(each.waits).toEqual([250, 500, 1000, 2000]);
	});

	it("is given up after a bounded number of attempts, with the cause kept", async () => {
		const each = failing(chunkLimits.attempts + 1);
		const given = await loadChunk(each.load, each.deps).catch((thrown: unknown) => thrown);
		expect(given).toBeInstanceOf(ChunkError);
		expect((given as ChunkError).cause).toBeInstanceOf(TypeError);
		expect(each.asked()).toBe(chunkLimits.attempts);
	});

	it("gets the style sheet that the loader would not ask for twice", async () => {
		const each = failing(1, new Error("Unable to preload CSS for /assets/chat-BxA1.css"));
		expect(await loadChunk(each.load, each.deps)).toBe("page");
		expect(each.styles).toEqual(["/assets/chat-BxA1.css"]);
	});
});
