import { expect, test } from "vitest";
import { readVersion, tmuxFitness } from "./version.ts";

test("3.2 and later are fit, what cannot be read is taken for later", () => {
	const fit = ["tmux 3.2\n", "tmux 3.3a\n", "tmux 4.0", "tmux next-3.6", "tmux master", "tmux openbsd-7.4", ""];
	expect(fit.map(readVersion)).toEqual(fit.map(() => ({ state: "fit" })));
	expect(readVersion("tmux 3.1c\n")).toEqual({ state: "old", version: "3.1c" });
	expect(readVersion("tmux 2.9a\n")).toEqual({ state: "old", version: "2.9a" });
});

test("a program that is not there is missing", async () => {
	expect(await tmuxFitness("/nonexistent/tmux", {})).toEqual({ state: "missing" });
});
