import { generateKeyPairSync, sign } from "node:crypto";
import { proofMessage, thumbprint } from "@warren/accounts";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Machine, type Machines, openMachines } from "./machines.ts";

/** Two machines of one warren, as their owner makes them so; then the first one is gone. */
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const pin = { user: "ada", pin: "correct horse" };

let machines: Machines;
let first: StartedNode;
let second: StartedNode;
/** A device token of the first machine, and a session of its hub. */
let device: string;
let session: string;
beforeAll(async () => {
	machines = openMachines(2);
	first = await startNode({ ...machine(0), command: ["up"], name: "atlas", pin: null });
});
afterAll(async () => {
	await second?.[Symbol.asyncDispose]();
	await first?.[Symbol.asyncDispose]();
	machines[Symbol.dispose]();
});

function machine(index: number): Machine {
	return machines.all[index] as Machine;
}

async function call(
	node: StartedNode,
	method: string,
	path: string,
	headers: Record<string, string>,
	body?: unknown,
): Promise<{ status: number; body: any }> {
	const answer = await node.fetch(path, {
		method,
		headers: { authorization: "", ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

async function invite(): Promise<string> {
	const made = await call(first, "POST", "/v1/invites", bearer(session), {});
	expect(made.status).toBe(201);
	return made.body.code as string;
}

/** Starts a machine that joins; rejects with what it said when it could not. */
function join(code: string, name = "burrow"): Promise<StartedNode> {
	return startNode({
		...machine(1),
		command: ["join", first.origin],
		name,
		user: "bob",
		pin: "bobs-pin-1",
		env: { WARREN_JOIN_CODE: code },
	});
}

describe("a warren of two machines", () => {
	it("begins with one setup link: once for the machine, once for the first account", async () => {
		const secret = { "x-warren-setup": (first.setupUrl as string).split("#setup=")[1] as string };
		const set = await call(first, "POST", "/api/setup", secret, { ...pin, deviceName: "laptop" });
		expect(set.status).toBe(201);
		device = set.body.token;
		const signed = await call(first, "POST", "/auth/signup", secret, person);
		expect(signed.status).toBe(200);
		session = signed.body.token;
		expect((await call(first, "POST", "/api/setup", secret, { ...pin, deviceName: "thief" })).status).toBe(401);
		const again = await call(first, "POST", "/auth/signup", secret, { ...person, email: "eve@example.test" });
		expect(again.status).toBeGreaterThanOrEqual(400);
		expect((await call(first, "GET", "/auth/session", bearer(session))).body.user).toMatchObject({
			email: person.email,
		});
	});

	it("takes no machine whose code names another CA, and sends that one nothing", async () => {
		const code = await invite();
		const forged = `${code.slice(0, -43)}${"A".repeat(43)}`;
		await expect(join(forged)).rejects.toThrow(/not of the warren/);
		second = await join(code);
		expect(second.ca).toBe(first.ca);
	});

	it("has its backbone on the first machine: the second says so when it is to expose a port", async () => {
		const refused = await call(
			second,
			"PUT",
			"/api/exposed/web",
			{ authorization: second.authorization },
			{ port: 80 },
		);
		expect(refused).toMatchObject({
			status: 409,
			body: {
				error: "no_backbone",
				message: expect.stringContaining(first.origin),
				fix: expect.stringContaining("warren up"),
			},
		});
	});

	it("takes a code once", async () => {
		const used = await invite();
		const joined = await join(used, "attic");
		await joined[Symbol.asyncDispose]();
		await expect(join(used, "attic")).rejects.toThrow(/used/);
		for (const { nodeId, hub, name } of (await call(first, "GET", "/v1/machines", bearer(session))).body.machines) {
			const isExtra = !hub && nodeId !== (await nodeIdOf(second));
			if (isExtra)
				expect((await call(first, "DELETE", `/v1/machines/${nodeId}`, bearer(session))).status, name).toBe(204);
		}
	});

	it("shows the new machine where somebody watches, its terminals through the first", async (test) => {
		test.skip(machines.kind === "loopback", "two machines need two addresses: run as root on Linux");
		const { body } = await call(first, "GET", "/api/peers", bearer(device));
		const peer = body.peers.find((each: { name: string }) => each.name === "burrow");
		expect(peer).toMatchObject({ source: "hub", reachable: true, host: second.host });
		const upstream = { ...bearer(device), "x-mobux-upstream-authorization": second.authorization };
		const made = await call(first, "POST", `/r/${peer.id}/api/sessions`, upstream, { name: "far" });
		expect([made.status, made.body.name]).toEqual([201, "far"]);
	});

	it("answers for the hub on every machine's own origin", async () => {
		expect((await call(second, "GET", "/auth/session", bearer(session))).body.user).toMatchObject({
			email: person.email,
		});
		expect((await call(second, "GET", "/me", bearer(session))).status).toBe(200);
		expect((await call(second, "GET", "/auth/session", bearer("nonsense"))).status).toBe(401);
	});

	it("lets an enrolled device in with the hub gone, and its own user and PIN, too", async () => {
		const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const jwk = publicKey.export({ format: "jwk" }) as { kty: "EC"; crv: "P-256"; x: string; y: string };
		const node = await nodeIdOf(second);
		const issued = await call(second, "POST", "/me/tickets", bearer(session), { deviceKey: thumbprint(jwk), node });
		expect(issued.status).toBe(201);

		await first.kill("SIGKILL");
		const away = await call(second, "GET", "/auth/session", bearer(session));
		expect([away.status, away.body.error]).toEqual([503, "hub_away"]);
		expect((await second.fetch("/api/sessions")).status).toBe(200);

		const { nonce, audience, path } = (await call(second, "POST", "/api/devices/nonce", {}, {})).body;
		const proof = sign("sha256", Buffer.from(proofMessage(nonce, audience, path)), {
			key: privateKey,
			dsaEncoding: "ieee-p1363",
		}).toString("base64url");
		const body = { ticket: issued.body.ticket, nonce, proof, publicKey: jwk, name: "phone" };
		const enrolled = await call(second, "POST", "/api/devices/ticket", {}, body);
		expect(enrolled).toMatchObject({ status: 201, body: { device: { name: "phone" } } });
		expect((await call(second, "GET", "/api/sessions", bearer(enrolled.body.token))).status).toBe(200);
		// The same proof again opens nothing.
		expect((await call(second, "POST", "/api/devices/ticket", {}, body)).status).toBeGreaterThanOrEqual(400);

		// Back again: what was revoked meanwhile reaches the machine, and ends what the ticket had enrolled.
		first = await startNode({
			...machine(0),
			command: ["up"],
			name: "atlas",
			pin: null,
			home: first.home,
			port: first.port,
		});
		const watched = await dialWebSocket(`${second.origin.replace("https", "wss")}/ws/~events`, systemClock, {
			headers: bearer(enrolled.body.token),
			tls: { ca: second.ca },
		});
		if (!watched.ok) throw new Error(watched.message);
		const closed = new Promise<number>((resolve) => watched.connection.onClose((code) => resolve(code)));
		const tickets = (await call(first, "GET", "/me/tickets", bearer(session))).body.tickets as {
			ticketId?: string;
			id?: string;
		}[];
		const id = tickets[0]?.ticketId ?? tickets[0]?.id ?? "";
		expect((await call(first, "DELETE", `/me/tickets/${id}`, bearer(session))).status).toBe(204);
		expect(await closed).toBe(4401);
		expect((await call(second, "GET", "/api/sessions", bearer(enrolled.body.token))).status).toBe(401);
	}, 120_000);
});

async function nodeIdOf(node: StartedNode): Promise<string> {
	return ((await (await node.fetch("/api/status")).json()) as { node: { id: string } }).node.id;
}
