import { expect, test } from "vitest";
import { cssColour, darkTheme } from "./palette.ts";
import { parseLine, plain } from "./sgr.ts";

test("colours and attributes become runs, and carry over to the next line", () => {
	const { runs, end } = parseLine("a\x1b[1;31mb\x1b[0mc\x1b[4md", plain);
	expect(runs).toEqual([
		{ text: "a", style: {} },
		{ text: "b", style: { bold: true, fg: 1 } },
		{ text: "c", style: {} },
		{ text: "d", style: { underline: true } },
	]);
	expect(parseLine("e", end).runs).toEqual([{ text: "e", style: { underline: true } }]);
});

test.each([
	["\x1b[38;5;208mx", { fg: 208 }],
	["\x1b[38;2;255;128;0mx", { fg: "#ff8000" }],
	["\x1b[48;5;17;97mx", { bg: 17, fg: 15 }],
	["\x1b[1;2m\x1b[22mx", {}],
	["\x1b[7;9;3mx", { inverse: true, strike: true, italic: true }],
	["\x1b[38;2;999;0;0mx", {}],
	["\x1b[mx", {}],
])("%j is drawn as %o", (line, style) => {
	expect(parseLine(line, plain).runs).toEqual([{ text: "x", style }]);
});

test("other escapes and control characters leave no trace", () => {
	const { runs } = parseLine("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\\x1b[2K\x07\x1b(B!", plain);
	expect(runs.map((run) => run.text).join("")).toBe("link!");
});

test("the 256 colours are the theme's sixteen, the cube and the greys", () => {
	expect(cssColour(2, darkTheme)).toBe(darkTheme.green);
	expect(cssColour(16, darkTheme)).toBe("rgb(0 0 0)");
	expect(cssColour(231, darkTheme)).toBe("rgb(255 255 255)");
	expect(cssColour(232, darkTheme)).toBe("rgb(8 8 8)");
});
