import { type Logger, silentLogger } from "@warren/kernel";
import { expect, it } from "vitest";
import { openMemoryTables, TestHub } from "../hub.testing.ts";

it("what a client gets wrong is answered, and fills no log: anybody may send it", async () => {
	const errors: string[] = [];
	const logger: Logger = { ...silentLogger, error: (event) => errors.push(event), child: () => logger };
	await using hub = await TestHub.open(openMemoryTables, { logger });
	const headers = { "content-type": "application/json" };
	const told = async (body: string) =>
		(await fetch(`${hub.origin}/auth/sign-in/email`, { method: "POST", headers, body })).status;
	for (const body of ['{"email":', '{"email":1}', `${"[".repeat(30_000)}${"]".repeat(30_000)}`])
		expect(await told(body)).toBe(400);
	expect(errors).toEqual([]);
});
