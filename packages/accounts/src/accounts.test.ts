import { expect, it } from "vitest";
import { bearer, openMemoryTables, TestHub } from "./hub.testing.ts";

it("first", async () => {
	await using hub = await TestHub.open(openMemoryTables);
	const token = await hub.owner();
	console.log(token, (await hub.call("GET", "/auth/session", undefined, bearer(token))).body);
	console.log((await hub.call("GET", "/me", undefined, bearer(token))).body);
	console.log((await hub.call("GET", "/me/devices", undefined, bearer(token))).body);
	console.log(
		await hub.tables.db
			.selectFrom("auth_session" as never)
			.selectAll()
			.execute(),
	);
	expect(1).toBe(1);
});
