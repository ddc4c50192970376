import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";

/** A service's UUID is the coordinator's, whoever serves the name and whatever this machine's own file says. */
const patience = { timeout: 40_000 };
const edge = { WARREN_EDGE: "1", WARREN_SIDECAR_PORT: "0", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" };

async function call(node: StartedNode, method: string, path: string, body?: object, headers: object = {}) {
	const answer = await node.fetch(path, {
		method,
		headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: (text === "" ? null : JSON.parse(text)) as any };
}

/** Once the edge runs beside it. */
async function expose(node: StartedNode, name: string, port: number): Promise<{ uuid: string; address: string }> {
	let exposed: any;
	await expect
		.poll(async () => {
			exposed = await call(node, "PUT", `/api/exposed/${name}`, { port });
			return [exposed.status, exposed.body.message];
		}, patience)
		.toEqual([200, undefined]);
	return exposed.body.overlay;
}

it("a UUID of before is taken over by the coordinator, which keeps it when the file is lost and when the service moves", {
	timeout: 240_000,
}, async () => {
	using folder = tempFolder("uuids");
	const known = "0191e7c2-1111-7222-8333-444455556666";
	const data = join(folder.path, "data");
	const file = join(data, "service-names.json");
	mkdirSync(data, { mode: 0o700 });
	writeFileSync(file, JSON.stringify({ web: { uuid: known, nodeId: "", tokenId: "" } }), { mode: 0o600 });
	const env = { ...edge, WARREN_BACKBONE_PORT: String(await freePort()) };
	const first = { command: ["up"], name: "atlas", home: folder.path, env };
	let address = "";
	let db = "";
	{
		await using atlas = await startNode(first);
		const web = await expose(atlas, "web", 3000);
		expect(web.uuid).toBe(known);
		address = web.address;
		db = (await expose(atlas, "db", 5432)).uuid;
		expect(db).not.toBe(known);
		for (const name of ["web", "db"]) expect((await call(atlas, "DELETE", `/api/exposed/${name}`)).status).toBe(200);
	}
	rmSync(file);
	await using atlas = await startNode(first);
	expect((await expose(atlas, "db", 5433)).uuid).toBe(db);

	// To another machine of the warren, with its address.
	const setup = { "x-warren-setup": (atlas.setupUrl as string).split("#account=")[1] ?? "", authorization: "" };
	const owner = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
	const { token } = (await call(atlas, "POST", "/auth/signup", owner, setup)).body;
	const { code } = (await call(atlas, "POST", "/v1/invites", {}, { authorization: `Bearer ${token}` })).body;
	await using burrow = await startNode({
		command: ["join", atlas.origin],
		name: "burrow",
		env: { WARREN_JOIN_CODE: code, WARREN_SIDECAR_PORT: "0" },
	});
	const moved = await expose(burrow, "web", 8080);
	expect(moved).toMatchObject({ uuid: known, address });
});
