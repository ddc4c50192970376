import { expect, it } from "vitest";
import { formatJoinCode, parseJoinCode } from "./join-code.ts";

it("a join code is split by length, so that underscores in either part do no harm", () => {
	for (const [secret, fingerprint] of [
		["a".repeat(43), "b".repeat(43)],
		[`_${"a".repeat(41)}_`, "_".repeat(43)],
		["_".repeat(43), `${"b".repeat(20)}_${"c".repeat(22)}`],
	] as const)
		expect(parseJoinCode(formatJoinCode({ secret, fingerprint }))).toEqual({ secret, fingerprint });
});

it("what is no join code is refused", () => {
	for (const text of [
		"",
		"wj_",
		`wx_${"a".repeat(43)}_${"b".repeat(43)}`,
		`wj_${"a".repeat(43)}${"b".repeat(43)}`,
		`wj_a_${"b".repeat(43)}`,
	])
		expect(parseJoinCode(text)).toBe(null);
});
