import { encodeUpdate } from "@warren/sync/protocol";
import { tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";
import * as Y from "yjs";
import { documentsSuite, edit } from "./documents.contract.ts";
import { bearer, openEdge, openNodeHub, WireClient } from "./edge.testing.ts";

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };

documentsSuite("on Workers", openEdge);
documentsSuite("at a Node hub", openNodeHub);

it("machines are refused in words: there is no authority here that could certify them", patient, async () => {
	await using edge = await openEdge();
	const ada = await edge.owner();
	const invited = await edge.call("POST", "/v1/invites", {}, bearer(ada));
	expect([invited.status, invited.body.error]).toEqual([409, "no_authority"]);
	expect(invited.body.fix).toContain("warren hub");
	const facts = { name: "attic", hosts: ["attic.local"], port: 5151 };
	const joined = await edge.call("POST", "/v1/join", { secret: "x".repeat(30), csr: "x", ...facts });
	expect([joined.status, joined.body.error]).toEqual([409, "no_authority"]);
	expect((await edge.call("GET", "/v1/machines", undefined, bearer(ada))).body).toEqual({ machines: [] });
	const made = await edge.call("POST", "/v1/join-tokens", { name: "lab" }, bearer(ada));
	expect(made.status, "the overlay's join tokens need none").toBe(201);
	const valid = await edge.call("POST", "/v1/validate", { token: made.body.token });
	expect(valid.body).toMatchObject({ valid: true, subject: "lab" });
});

it("a hub that is configured wrongly answers 503 and tells a visitor nothing of it", patient, async () => {
	await using edge = await openEdge({ bindings: { WARREN_SETUP: "short" } });
	const { status, body } = await edge.call("GET", "/");
	expect([status, body.error]).toEqual([503, "unavailable"]);
	expect(JSON.stringify(body)).not.toMatch(/WARREN_SETUP|short/);
});

it("everything acknowledged is there after the runtime was stopped and started", patient, async () => {
	using folder = tempFolder("edge");
	let token: string;
	{
		await using before = await openEdge({ folder: folder.path });
		token = await before.owner();
		using one = await new WireClient(before, "kept", token).sync();
		const doc = new Y.Doc();
		for (let count = 1; count <= 20; count++) one.send(encodeUpdate(edit(`${count} `, doc)));
		await one.until(() => one.durable === 20);
	}
	await using after = await openEdge({ folder: folder.path });
	using other = await new WireClient(after, "kept", token).sync();
	expect(other.text).toBe(Array.from({ length: 20 }, (_, at) => `${at + 1} `).join(""));
});
