import { expect, test } from "vitest";
import { machineOfPath, pathOn, terminalPath, terminalsPath } from "./machine.ts";

test.each([
	["/m/self/terminals", "self"],
	["/m/127-0-0-1-8e8df6/terminals/warren.0", "127-0-0-1-8e8df6"],
	["/m/forge", "forge"],
	["/machines", undefined],
	["/m/", undefined],
	["/m/..%2Fapi/terminals", undefined],
	["/m/%E0%A4%A/terminals", undefined],
	["/", undefined],
])("the address %s names %s", (path, machine) => {
	expect(machineOfPath(path)).toBe(machine);
});

test("a peer is reached through the relay, the own node directly", () => {
	expect(pathOn("self", "/api/sessions")).toBe("/api/sessions");
	expect(pathOn("forge", "/ws/warren.1")).toBe("/r/forge/ws/warren.1");
	expect(pathOn("a/b", "/api/me")).toBe("/r/a%2Fb/api/me");
});

test("an address made for a machine names that machine", () => {
	expect(machineOfPath(terminalsPath("forge"))).toBe("forge");
	expect(machineOfPath(terminalPath("forge", "my session"))).toBe("forge");
	expect(terminalPath("forge", "my session")).toBe("/m/forge/terminals/my%20session");
});
