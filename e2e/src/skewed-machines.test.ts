import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { proofMessage, thumbprint } from "@warren/accounts";
import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { clockOff } from "./cluster.ts";
import { bearer, call, owner } from "./warren-pair.ts";

const minuteMs = 60_000;

/** Machines whose clocks are off from their hub's: what a hub signed with its time, they judge by theirs. */
describe("machines whose clocks are off", { timeout: 240_000 }, () => {
	const nodes: StartedNode[] = [];
	let session: string;
	let key: KeyObject;
	let jwk: { kty: "EC"; crv: "P-256"; x: string; y: string };
	const at = (index: number) => nodes[index] as StartedNode;

	beforeAll(async () => {
		const env = { WARREN_SIDECAR_PORT: "0" };
		nodes.push(await startNode({ command: ["up"], name: "atlas", pin: null, env }));
		const setup = { "x-warren-setup": (at(0).setupUrl as string).split("#setup=")[1] as string };
		session = (await call(at(0), "POST", "/auth/signup", setup, owner)).body.token as string;
		for (const [name, offMs] of [
			["burrow", -11 * minuteMs],
			["cavern", -4 * minuteMs],
			["dell", 20 * minuteMs],
		] as const) {
			const { code } = (await call(at(0), "POST", "/v1/invites", bearer(session), {})).body as { code: string };
			const own = { ...env, WARREN_JOIN_CODE: code, ...clockOff(offMs) };
			nodes.push(await startNode({ command: ["join", at(0).origin], name, env: own }));
		}
		const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		key = privateKey;
		jwk = publicKey.export({ format: "jwk" }) as typeof jwk;
	}, 240_000);
	afterAll(async () => {
		for (const node of nodes.toReversed()) await node[Symbol.asyncDispose]();
	});

	/** As a phone does: asks the hub for a ticket of a machine, and shows it there. */
	async function enrol(index: number) {
		const status = (await (await at(index).fetch("/api/status")).json()) as { node: { id: string } };
		const asked = { deviceKey: thumbprint(jwk), node: status.node.id };
		const issued = await call(at(0), "POST", "/me/tickets", bearer(session), asked);
		expect(issued.status).toBe(201);
		const { nonce, audience, path } = (await call(at(index), "POST", "/api/devices/nonce", {}, {})).body;
		const message = Buffer.from(proofMessage(nonce, audience, path));
		const proof = sign("sha256", message, { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
		const body = { ticket: issued.body.ticket, nonce, proof, publicKey: jwk, name: "phone" };
		return call(at(index), "POST", "/api/devices/ticket", {}, body);
	}

	it.each([
		["four minutes behind", 2],
		["twenty minutes ahead", 3],
	])("%s its hub's, a machine has joined, and takes a device by its ticket", async (_off, index) => {
		const enrolled = await enrol(index);
		expect(enrolled.status, JSON.stringify(enrolled.body)).toBe(201);
		expect((await call(at(index), "GET", "/api/sessions", bearer(enrolled.body.token))).status).toBe(200);
	});

	it("eleven minutes behind, it refuses the ticket, says by how much, and what to do; its PIN opens it", async () => {
		const refused = await enrol(1);
		expect(refused).toMatchObject({ status: 401, body: { error: "bad_ticket" } });
		expect(refused.body.message).toMatch(
			/dated 1[01] minutes ahead of this machine's clock: set this machine's and the hub's by NTP, or sign in here with the PIN/,
		);
		expect((await at(1).fetch("/api/sessions")).status).toBe(200);
	});

	it("a session of the hub is one at each of them, and its end there is its end everywhere", async () => {
		const { body } = await call(at(0), "POST", "/auth/login", {}, { email: owner.email, password: owner.password });
		for (const node of nodes) expect((await call(node, "GET", "/me", bearer(body.token))).status).toBe(200);
		expect((await call(at(1), "POST", "/auth/sign-out", bearer(body.token), {})).status).toBe(200);
		for (const node of nodes)
			await expect.poll(async () => (await call(node, "GET", "/me", bearer(body.token))).status).toBe(401);
	});
});
