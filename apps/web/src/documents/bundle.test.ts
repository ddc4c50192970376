import { describe, expect, it } from "vitest";
import { bundleLimits, decodeBundle, encodeBundle } from "./bundle.ts";

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const file = (documents: unknown) => encode({ warren: "documents", version: 1, documents });
const one = { id: "field-notes", title: "Field notes ✓", update: "AAECAw==" };

describe("documents in one file", () => {
	it("come out as they went in, large ones too", () => {
		const update = Uint8Array.from({ length: 100_000 }, (_, at) => at % 256);
		const documents = [
			{ id: "field-notes", title: "Field notes ✓", update },
			{ id: "chat-7", title: "", update: new Uint8Array() },
		];
		expect(decodeBundle(encodeBundle(documents))).toEqual(documents);
		expect(decodeBundle(encodeBundle([]))).toEqual([]);
	});

	it.each([
		["no JSON", new TextEncoder().encode("PK")],
		["no text", Uint8Array.of(0xff, 0xfe)],
		["a file cut short", file([one]).subarray(0, 40)],
		["null", encode(null)],
		["another JSON", encode({ rooms: [] })],
		["a later version", encode({ warren: "documents", version: 2, documents: [one] })],
		["documents that are no list", file(one)],
		["an id that no hub takes", file([one, { ...one, id: "../etc" }])],
		["two dots in a row", file([{ ...one, id: "a..b" }])],
		["no title", file([{ ...one, title: null }])],
		["a title without end", file([{ ...one, title: "x".repeat(bundleLimits.maxTitleLength + 1) }])],
		["an update that is no base64", file([{ ...one, update: "§" }])],
		["too many", file(Array.from({ length: bundleLimits.maxDocuments + 1 }, () => one))],
	])("that hold %s are refused whole", (_what, bytes) => {
		expect(decodeBundle(bytes)).toBeNull();
	});

	it("is read up to its limits", () => {
		expect(decodeBundle(file(Array.from({ length: bundleLimits.maxDocuments }, () => one)))).toHaveLength(
			bundleLimits.maxDocuments,
		);
	});
});
