import { expect, test } from "vitest";
import { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { colourOf, initialsOf, presentIn, presentOf } from "./presence.ts";

test("a person has one colour everywhere", () => {
	expect(colourOf("u1")).toBe(colourOf("u1"));
	expect(colourOf("u1")).toMatch(/^#[0-9a-f]{6}$/);
});

test("what others write of themselves is cut to text and a colour", () => {
	const state = { user: { id: "u2", name: `  ${"x".repeat(500)}`, color: "red; background: url(//evil)" } };
	const present = presentOf(7, state, 1);
	expect(present?.name).toHaveLength(60);
	expect(present?.colour).toBe(colourOf("u2"));
	for (const broken of [null, 5, {}, { user: null }, { user: { name: 5 } }, { user: { name: " " } }])
		expect(presentOf(7, broken, 1)).toBeUndefined();
});

test("two tabs of one person count once, this one first", () => {
	const awareness = new Awareness(new Y.Doc());
	awareness.setLocalState({ user: { id: "u9", name: "Zoe", color: "#112233" } });
	awareness.states.set(1, { user: { id: "u1", name: "Bob" } });
	awareness.states.set(2, { user: { id: "u1", name: "Bob" } });
	expect(presentIn(awareness).map(({ name, self }) => [name, self])).toEqual([
		["Zoe", true],
		["Bob", false],
	]);
	awareness.destroy();
});

test.each([
	["Ada Lovelace", "AL"],
	["ada", "A"],
	["Ada King of Lovelace", "AL"],
	["", ""],
])("the initials of %j are %j", (name, initials) => {
	expect(initialsOf(name)).toBe(initials);
});
