import { describe, expect, it } from "vitest";
import { canonicalHost, HostTable, parseHost } from "./host-table.ts";

describe("parseHost", () => {
	it.each([
		["localhost", { host: "localhost", port: null }],
		["LocalHost:5151", { host: "localhost", port: 5151 }],
		["box.lan.:443", { host: "box.lan", port: 443 }],
		["127.0.0.1:1", { host: "127.0.0.1", port: 1 }],
		["[::1]:5151", { host: "::1", port: 5151 }],
		["[0:0:0:0:0:0:0:1]", { host: "::1", port: null }],
		["[::ffff:10.0.0.1]", { host: "10.0.0.1", port: null }],
		["[::FFFF:a00:1]", { host: "10.0.0.1", port: null }],
	])("%s", (header, expected) => {
		expect(parseHost(header)).toEqual(expected);
	});

	it.each([
		"",
		" localhost",
		"localhost ",
		"localhost:",
		"localhost:0",
		"localhost:65536",
		"localhost:123456",
		"localhost:-1",
		"localhost:80:80",
		"a,b",
		"a@b",
		"user:pass@host",
		"host/path",
		"host?x",
		"::1",
		"[::1",
		"[127.0.0.1]",
		"[::1%25eth0]",
		"bücher.example",
		"a\0b",
		"a%00b",
	])("refuses %j", (header) => {
		expect(parseHost(header)).toBeNull();
	});
});

describe("the Host table", () => {
	const table = new HostTable(["Box.Local", "localhost", "10.1.2.3"]);

	it("answers its names in every spelling, and no other name, whatever that resolves to", () => {
		for (const name of ["box.local", "BOX.LOCAL.", "localhost"])
			expect(table.accepts(canonicalHost(name), "127.0.0.1"), name).toBe(true);
		// Names that anybody may point at 127.0.0.1.
		for (const name of ["evil.example", "localtest.me", "127.0.0.1.nip.io", "box.local.evil.example", "xbox.local", ""])
			expect(table.accepts(canonicalHost(name), "127.0.0.1"), name).toBe(false);
	});

	it("answers an address literal only when it is the connection's own, or listed", () => {
		expect(table.accepts("127.0.0.1", "127.0.0.1")).toBe(true);
		expect(table.accepts("127.0.0.1", "::ffff:127.0.0.1")).toBe(true);
		expect(table.accepts("::1", "::1")).toBe(true);
		expect(table.accepts("10.1.2.3", "192.168.0.2")).toBe(true);
		expect(table.accepts("192.168.0.3", "192.168.0.2")).toBe(false);
		expect(table.accepts("127.0.0.1", undefined)).toBe(false);
	});

	it("takes names that are added later", () => {
		const later = new HostTable([]);
		later.add("New.Example.");
		expect(later.names()).toEqual(["new.example"]);
		expect(later.accepts("new.example", undefined)).toBe(true);
	});
});
