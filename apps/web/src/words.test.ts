import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

/** Whoever translates this interface translates the text modules, and nothing else. */
const root = fileURLToPath(new URL("./", import.meta.url));
const pages = globSync("**/*.tsx", { cwd: root });
/** What stands on keys, and names of protocols. */
const sameEverywhere = /^(Esc|Tab|Ctrl|Alt|Home|End|PgUp|PgDn|Warren)$/;

/** Words between two tags, and words given to what is read out or shown. */
function wordsIn(source: string): string[] {
	const between = [...source.matchAll(/<\/?[A-Za-z][^<>{}]*>\s*([A-Za-z][a-z]+(?: [a-z]+)*)\s*<\//g)];
	const given = [...source.matchAll(/\b(?:title|aria-label|placeholder|label|alt|hint|lead)="([^"]*[a-z]{2,}[^"]*)"/g)];
	return [...between, ...given].map(([, words = ""]) => words).filter((words) => !sameEverywhere.test(words));
}

describe("the words of the interface", () => {
	it("stand in text modules alone", () => {
		expect(pages.length).toBeGreaterThan(100);
		const found = pages.flatMap((page) =>
			wordsIn(readFileSync(`${root}${page}`, "utf8")).map((words) => `${page}: ${words}`),
		);
		expect(found).toEqual([]);
	});

	it("would be found", () => {
		expect(wordsIn('<span className="tag">bell</span>')).toEqual(["bell"]);
		expect(wordsIn('<Copyable label="fingerprint" />')).toEqual(["fingerprint"]);
		expect(wordsIn('<Key label="Esc" />')).toEqual([]);
	});
});
