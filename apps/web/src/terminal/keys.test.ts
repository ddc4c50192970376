import { describe, expect, test } from "vitest";
import { afterKey, applyModifiers, type BarKey, encodeKey, encodePaste, noModifiers, tapSticky } from "./keys.ts";

describe("the key bar", () => {
	test.each<[BarKey, boolean, boolean, boolean, string]>([
		["escape", false, false, false, "\x1b"],
		["tab", false, false, false, "\t"],
		["enter", false, false, false, "\r"],
		["backspace", false, false, false, "\x7f"],
		["up", false, false, false, "\x1b[A"],
		["up", false, false, true, "\x1bOA"],
		["left", true, false, true, "\x1b[1;5D"],
		["right", false, true, false, "\x1b[1;3C"],
		["end", true, true, false, "\x1b[1;7F"],
		["page-up", false, false, false, "\x1b[5~"],
		["page-down", true, false, false, "\x1b[6;5~"],
		["tab", false, true, false, "\x1b\t"],
	])("%s with ctrl %s, alt %s, application cursor %s", (key, ctrl, alt, application, bytes) => {
		expect(encodeKey(key, { ctrl, alt }, application)).toBe(bytes);
	});

	test("every control code is reached by a character", () => {
		const typed = [..." abcdefghijklmnopqrstuvwxyz[\\]^_"];
		expect(typed.map((each) => applyModifiers(each, { ctrl: true, alt: false }).charCodeAt(0))).toEqual(
			Array.from({ length: 32 }, (_, code) => code),
		);
	});

	test.each([
		["C", "\x03"],
		["?", "\x7f"],
		["/", "\x1f"],
		["2", "\0"],
		["3", "\x1b"],
		["7", "\x1f"],
		["é", "é"],
		["🦊", "🦊"],
		["ls", "ls"],
	])("Ctrl with %s", (typed, bytes) => {
		expect(applyModifiers(typed, { ctrl: true, alt: false })).toBe(bytes);
	});

	test("Alt puts an escape before the key", () => {
		expect(applyModifiers("b", { ctrl: false, alt: true })).toBe("\x1bb");
		expect(applyModifiers("b", { ctrl: true, alt: true })).toBe("\x1b\x02");
		expect(applyModifiers("b", noModifiers)).toBe("b");
	});

	test("a sticky key holds for one key, or until it is tapped again", () => {
		expect(tapSticky("off")).toBe("once");
		expect(afterKey("once")).toBe("off");
		expect(tapSticky("once")).toBe("locked");
		expect(afterKey("locked")).toBe("locked");
		expect(tapSticky("locked")).toBe("off");
	});
});

describe("a paste", () => {
	test("is one bracketed piece, its line ends what Enter sends", () => {
		expect(encodePaste("a\r\nb\nc", true)).toBe("\x1b[200~a\rb\rc\x1b[201~");
	});

	test("is plain for a program that knows no brackets", () => {
		expect(encodePaste("a\nb", false)).toBe("a\rb");
	});

	test("cannot end itself early, not even by marks put together from halves", () => {
		const hostile = "x\x1b[20\x1b[201~1~rm -rf\n";
		expect(encodePaste(hostile, true)).toBe("\x1b[200~xrm -rf\r\x1b[201~");
	});
});
