import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { elsewhere, type Row, scenes, unrun } from "./command-table.ts";
import { shownCommands } from "./shown-commands.ts";

/** A new command in the documentation needs a scene in which it runs (command-scenes.test.ts), or a word why it has none. */
const root = join(import.meta.dirname, "../../..");

/** Of a bench the program: what it is told to measure changes with each night, and it refuses an option that it has not. */
const listed = (line: string) => line.match(/^node bench\/\S+/)?.[0] ?? line;

describe("the commands that the documentation shows", () => {
	it("each has a scene, a test of its own, or a reason why nothing runs it; and nothing else is listed", () => {
		const shown = shownCommands().map((each) => ({ ...each, line: listed(each.line) }));
		expect(shown.length).toBeGreaterThan(90);
		const rows: readonly Row[] = Object.values(scenes).flat();
		const known = new Set([...rows.map((row) => row.shown), ...Object.keys(elsewhere), ...Object.keys(unrun)]);
		const lines = [...known, ...rows.map((row) => row.typed ?? row.shown)];
		const isNamed = (bare: string) =>
			lines.some((line) => line.replace(/^(?:[A-Z_]+=\S+ )+/, "").startsWith(`${bare} `));
		const strays = shown.filter(({ line }) => !known.has(line) && !(/^warren [a-z -]+$/.test(line) && isNamed(line)));
		expect(strays.map(({ line, pages }) => `${pages.join(", ")}: ${line}`)).toEqual([]);
		const on = new Set(shown.map(({ line }) => line));
		expect([...known].filter((line) => !on.has(line))).toEqual([]);
	});

	it("are run by the tests that are named for them", () => {
		const named = Object.entries(elsewhere);
		expect(named.length).toBeGreaterThan(10);
		const gone = named.filter(([, [file, word]]) => {
			const path = join(root, file);
			return !existsSync(path) || !readFileSync(path, "utf8").includes(word);
		});
		expect(gone).toEqual([]);
		expect(Object.keys(unrun)).toEqual(["npm test"]);
	});
});
