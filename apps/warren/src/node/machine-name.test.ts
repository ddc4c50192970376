import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseNodeConfig } from "../config/node-config.ts";
import { openNode } from "./node-role.ts";

const headers = { authorization: `Basic ${btoa("ada:lovelace-1815")}`, "content-type": "application/json" };

/** A node over plain HTTP on loopback, in this process. */
async function open(data: string, name: string) {
	const environment = { WARREN_DATA: data, WARREN_PIN: "lovelace-1815", WARREN_USER: "ada" };
	const flags = { host: "127.0.0.1", port: 0, http: true, tailscale: "/nonexistent", webFolder: "/nonexistent", name };
	const role = await openNode(
		{ clock: systemClock, random: systemRandom, logger: silentLogger },
		parseNodeConfig(flags, environment),
	);
	const ask = (path: string, init: RequestInit = {}) =>
		fetch(`http://127.0.0.1:${role.listener.port}${path}`, { headers, ...init });
	return {
		put: async (body: unknown) => (await ask("/api/name", { method: "PUT", body: JSON.stringify(body) })).status,
		names: async () => [
			((await (await ask("/api/me")).json()) as { node: { name: string } }).node.name,
			((await (await ask("/api/peers")).json()) as { self: { name: string } }).self.name,
		],
		[Symbol.asyncDispose]: async () => role.close(),
	};
}

describe("a machine's name", () => {
	it("is changed while it runs, kept over a restart, and gives way to a new --name", async () => {
		using folder = tempFolder("name");
		const data = folder.file("data");
		{
			await using node = await open(data, "burrow");
			expect(await node.put({ name: " Studio " })).toBe(200);
			for (const bad of ["", "  ", "x".repeat(64), 7]) expect(await node.put({ name: bad }), String(bad)).toBe(400);
			expect(await node.names()).toEqual(["Studio", "Studio"]);
		}
		for (const [given, seen] of [
			["burrow", "Studio"],
			["attic", "attic"],
		] as const) {
			await using node = await open(data, given);
			expect(await node.names(), given).toEqual([seen, seen]);
		}
	});
});
