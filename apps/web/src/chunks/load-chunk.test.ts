import { describe, expect, it } from "vitest";
import { ChunkError, chunkLimits, loadChunk, restoreStyles } from "./load-chunk.ts";

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

describe("the document's own style sheets", () => {
	const rules = { cssRules: { length: 12 } };
	const unreadable = {
		get cssRules(): never {
			throw new DOMException("Cannot access rules", "SecurityError");
		},
	};
	const removed: string[] = [];
	const page = (sheets: readonly unknown[]) => {
		const links = sheets.map((sheet, index) => {
			const href = `/assets/${index}.css`;
			return { href, sheet, remove: () => void removed.push(href) };
		});
		return { querySelectorAll: () => links } as unknown as Document;
	};

	it("are left alone when they arrived", async () => {
		const each = failing(0);
		await restoreStyles(page([rules, rules]), each.deps);
		expect(each.styles).toEqual([]);
	});

	it("are asked for again when they broke off, whatever the browser makes of those", async () => {
		const each = failing(0);
		await restoreStyles(page([null, rules, unreadable, { cssRules: { length: 0 } }]), each.deps);
		expect(each.styles).toEqual(["/assets/0.css", "/assets/2.css", "/assets/3.css"]);
		expect(removed).toEqual(each.styles);
	});

	it("are given up after a bounded number of attempts", async () => {
		const each = failing(chunkLimits.attempts + 1);
		const style = async () => void (await each.load());
		await expect(restoreStyles(page([null]), { ...each.deps, style })).rejects.toThrow(ChunkError);
		expect(each.asked()).toBe(chunkLimits.attempts);
	});
});
