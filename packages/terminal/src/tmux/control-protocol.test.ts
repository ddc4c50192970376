import fc from "fast-check";
import { expect, test } from "vitest";
import { ControlReader, maxControlBytes } from "./control-protocol.ts";

const said = [
	"%begin 1795235823 279 0",
	"%end 1795235823 279 0",
	"%session-changed $0 wörk one",
	"%begin 1795235823 284 1",
	"first",
	"%end 1 2 3",
	"%begin 9 9 9",
	"%end 1795235823 284 1",
	"%begin 1795235823 285 1",
	"parse error",
	"%error 1795235823 285 1",
	"%sessions-changed",
	"",
].join("\n");

const heard = [
	{ type: "reply", asked: false, ok: true, text: "" },
	{ type: "notification", name: "session-changed", rest: "$0 wörk one" },
	{ type: "reply", asked: true, ok: true, text: "first\n%end 1 2 3\n%begin 9 9 9" },
	{ type: "reply", asked: true, ok: false, text: "parse error" },
	{ type: "notification", name: "sessions-changed", rest: "" },
];

test("answers end at their own guard, wherever the bytes are cut", () => {
	fc.assert(
		fc.property(fc.array(fc.nat({ max: Buffer.byteLength(said) }), { maxLength: 6 }), (cuts) => {
			const reader = new ControlReader();
			const at = [0, ...cuts.sort((a, b) => a - b), Buffer.byteLength(said)];
			const bytes = Buffer.from(said);
			const messages = at.slice(1).flatMap((end, i) => reader.feed(bytes.subarray(at[i], end)));
			expect(messages).toEqual(heard);
		}),
	);
});

test("a line without end is refused", () => {
	const reader = new ControlReader();
	expect(reader.feed(new Uint8Array(maxControlBytes).fill(97))).toEqual([]);
	expect(() => reader.feed(new Uint8Array(1).fill(97))).toThrow("says too much");
});
