import { describe, expect, it } from "vitest";
import { addressKey, parsePeerHost, peerIdOf } from "./address.ts";

describe("a peer's host", () => {
	it.each([
		["Box", "box"],
		[" box.tail1234.ts.net. ", "box.tail1234.ts.net"],
		["my_box.lan", "my_box.lan"],
		["10.0.0.1", "10.0.0.1"],
		["[::1]", "::1"],
		["FD00:0:0::1", "fd00::1"],
		["::ffff:10.0.0.1", "10.0.0.1"],
		["1.2.3.4.example", "1.2.3.4.example"],
	])("%j is %j", (text, expected) => {
		expect(parsePeerHost(text)).toBe(expected);
	});

	it.each([
		"",
		".",
		"a..b",
		"-a",
		"a b",
		"a/b",
		"a:5151",
		"https://a",
		"user@a",
		"a#b",
		"1.2.3",
		"999.1.1.1",
		"12345",
		"a\u0000b",
		"a%2eb",
		"b\u00fccher",
		`${"a".repeat(64)}.x`,
		`${"a.".repeat(126)}ab`,
	])("%j is none", (text) => {
		expect(parsePeerHost(text)).toBeNull();
	});

	it("gives the key of its pin, one for each address and port", () => {
		expect(addressKey({ host: "box", port: 1 })).toBe("box:1");
		expect(addressKey({ host: "::1", port: 1 })).toBe("[::1]:1");
	});
});

describe("a peer's id", () => {
	it("is stable: browsers keep what they know by it", () => {
		expect(peerIdOf({ host: "box.tail1234.ts.net", port: 5151 })).toBe("box-10f9884a48");
		expect(peerIdOf({ host: "10.0.0.7", port: 5151 })).toMatch(/^10-0-0-7-[0-9a-f]{10}$/);
		expect(peerIdOf({ host: "::1", port: 5151 })).toMatch(/^1-[0-9a-f]{10}$/);
	});

	it("differs by host and by port, and is one plain path segment", () => {
		const ids = ["a", "a.b", "a-b", "a_b", "10.0.0.1", "fd00::1", "x".repeat(63)].flatMap((host) =>
			[1, 2].map((port) => peerIdOf({ host, port })),
		);
		expect(new Set(ids).size).toBe(ids.length);
		for (const id of ids) expect(id).toMatch(/^[a-z0-9-]{1,43}$/);
	});
});
