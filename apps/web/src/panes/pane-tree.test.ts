import { describe, expect, it } from "vitest";
import {
	close,
	keyOf,
	leaf,
	maxPanes,
	neighbour,
	type Pane,
	panesOf,
	placesOf,
	readTree,
	resize,
	split,
} from "./pane-tree.ts";

const pane = (name: string): Pane => ({ machine: "self", session: name });
const [a, b, c, d] = ["a", "b", "c", "d"].map(pane) as [Pane, Pane, Pane, Pane];
const names = (tree: Parameters<typeof panesOf>[0]) => panesOf(tree).map(({ session }) => session);
/** a | b over c. */
const three = split(split(leaf(a), a, "row", b), b, "column", c);

describe("a layout of panes", () => {
	it("splits the pane that is named, half and half", () => {
		expect(names(three)).toEqual(["a", "b", "c"]);
		expect(placesOf(three).panes.map(({ rect }) => rect)).toEqual([
			{ x: 0, y: 0, width: 0.5, height: 1 },
			{ x: 0.5, y: 0, width: 0.5, height: 0.5 },
			{ x: 0.5, y: 0.5, width: 0.5, height: 0.5 },
		]);
	});

	it("covers the whole, whatever was split and sized", () => {
		const tree = resize(resize(split(three, c, "row", d), "", 0.3), "22", 0.7);
		const area = placesOf(tree).panes.reduce((sum, { rect }) => sum + rect.width * rect.height, 0);
		expect(area).toBeCloseTo(1, 9);
		expect(placesOf(tree).dividers.map(({ path }) => path)).toEqual(["", "2", "22"]);
	});

	it("gives a closed pane's room to what stood beside it", () => {
		expect(names(close(three, a) ?? leaf(d))).toEqual(["b", "c"]);
		expect(names(close(three, b) ?? leaf(d))).toEqual(["a", "c"]);
		expect(close(leaf(a), a)).toBeNull();
		expect(close(three, d)).toEqual(three);
	});

	it("holds no terminal twice, and no more than there is room for", () => {
		expect(split(three, a, "row", c)).toBe(three);
		let tree = leaf(pane("0"));
		for (let index = 1; index <= maxPanes + 1; index++) tree = split(tree, pane("0"), "row", pane(String(index)));
		expect(panesOf(tree)).toHaveLength(maxPanes);
	});

	it("keeps a divider from closing a pane", () => {
		expect(placesOf(resize(three, "", 0)).panes[0]?.rect.width).toBe(0.15);
		expect(placesOf(resize(three, "", 1)).panes[0]?.rect.width).toBe(0.85);
	});

	it("is walked by sides, to the pane that one sees there", () => {
		expect(neighbour(three, a, "right")).toEqual(b);
		expect(neighbour(resize(three, "2", 0.3), a, "right")).toEqual(c);
		expect(neighbour(three, c, "left")).toEqual(a);
		expect(neighbour(three, b, "down")).toEqual(c);
		expect(neighbour(three, c, "up")).toEqual(b);
		expect(neighbour(three, a, "left")).toBeUndefined();
		expect(neighbour(three, d, "left")).toBeUndefined();
	});

	it("comes back from storage, and nothing else does", () => {
		expect(readTree(JSON.parse(JSON.stringify(three)))).toEqual(three);
		for (const bad of [
			null,
			7,
			{ kind: "pane" },
			{ kind: "pane", pane: { machine: 1, session: "a" } },
			{ ...three, ratio: 2 },
			{ ...three, ratio: "0.5" },
			{ ...three, direction: "z" },
			{ ...three, first: null },
			{ kind: "split", direction: "row", ratio: 0.5, first: leaf(a), second: leaf(a) },
		])
			expect(readTree(bad), JSON.stringify(bad)).toBeNull();
		expect(keyOf(a)).toBe("self/a");
	});
});
