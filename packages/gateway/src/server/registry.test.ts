import { silentLogger } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { Registry } from "./registry.ts";
import { type GatewayTables, gatewaySchema } from "./schema.ts";
import { openSqliteGatewayStore } from "./sqlite-gateway-store.ts";

it("G2 a secret that was changed is worth nothing, also to whoever was shown in with it at that moment", async () => {
	const tables = await openSqliteTables<GatewayTables>(":memory:", [gatewaySchema]);
	const { meshes } = openSqliteGatewayStore(tables.statements, silentLogger);
	const clock = new VirtualClock();
	const mesh = { meshId: "m", name: "M", publicKey: undefined };
	await new Registry(meshes, clock, null).register({ ...mesh, secret: "first-secret" }, "192.0.2.1");
	// As after a start: nothing is known of earlier logins.
	const registry = new Registry(meshes, clock, null);
	const login = (secret: string) => registry.verify({ by: "secret", meshId: "m", secret, address: "192.0.2.2" });
	const changing = registry.register({ ...mesh, secret: "second-secret", previousSecret: "first-secret" }, "192.0.2.1");
	// Hashes are worked off one by one: after two others the change is at its last one, and this login stands behind it.
	for (let each = 0; each < 2; each++) await login("wrong-secret");
	const late = login("first-secret");
	await changing;
	await late;
	expect(await login("first-secret")).toMatchObject({ ok: false, reason: "invalid" });
	await tables.close();
});
