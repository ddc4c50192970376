import { RawClient } from "@warren/testkit";
import { expect, it } from "vitest";
import { openMemoryTables, TestHub } from "../hub.testing.ts";

it("a name of the hub's own keeps its passkeys, whatever ports somebody writes behind another", async () => {
	const own = "burrow.warren.internal";
	await using hub = await TestHub.open(openMemoryTables, {
		hosts: [own],
		options: { trustedOrigins: () => [`http://${own}`] },
	});
	const { port } = hub.listener;
	const relyingParty = async (host: string, address: string) => {
		const answer = await RawClient.exchange(
			{ port },
			`GET /auth/passkey/generate-authenticate-options HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: ${address}\r\nConnection: close\r\n\r\n`,
		);
		return /"rpId":"([^"]*)"/.exec(answer)?.[1];
	};
	for (let tried = 1; tried <= 40; tried++) await relyingParty(`localhost:${tried}`, `198.51.100.${tried}`);
	expect(await relyingParty(own, "192.0.2.1")).toBe("warren.internal");
});
