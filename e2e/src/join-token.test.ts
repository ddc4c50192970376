import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "@warren/net";
import { type StartedCommand, startCommand, tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** A hub that answers for join tokens, and a coordinator that asks it, each alone in a process. */
const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const folder = tempFolder("join-token");
let hub: StartedCommand;
let origin: string;
let session: string;
let coordinator: StartedCommand;
let mesh: string;
let atHub: Agent;
/** With machines' certificates. */
const machines: Record<string, Agent> = {};

async function call(agent: Agent, method: string, url: string, body: unknown, headers: Record<string, string> = {}) {
	const answer = await fetch(url, {
		method,
		dispatcher: agent,
		headers: { "content-type": "application/json", ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

async function ca(...args: string[]): Promise<void> {
	const done = await run(process.execPath, [main, "ca", ...args], { timeoutMs: 120_000 });
	if (done.outcome !== "exited" || done.code !== 0) throw new Error(`warren ca ${args[0]}: ${JSON.stringify(done)}`);
}

function register(machine: string, joinToken?: string, key = randomBytes(32).toString("base64")) {
	const body = { wg_public_key: key, display_name: machine, tags: ["admin"], network: "default" };
	return call(machines[machine] as Agent, "POST", `${mesh}/v1/mesh/register`, {
		...body,
		...(joinToken === undefined ? {} : { join_token: joinToken }),
	});
}

beforeAll(async () => {
	await Promise.all([startHub(), issueCertificates()]);
	coordinator = startCommand([
		...["coordinator", "--bind", "127.0.0.1:0", "--no-stun", "--json", "--auth-url", origin],
		...["--auth-ca", join(hub.data, "ca/ca.crt"), "--tls-ca", folder.file("ca/ca.crt")],
		...["--tls-cert", folder.file("coord/peer.crt"), "--tls-key", folder.file("coord/peer.key")],
	]);
	mesh = (await coordinator.line<{ url: string }>()).url;
}, 300_000);

async function startHub(): Promise<void> {
	hub = startCommand(["hub", "--name", "atlas", "--host", "127.0.0.1", "--port", "0", "--json"]);
	const ready = await hub.line<{ url: string; setupUrl: string }>();
	origin = `https://127.0.0.1:${new URL(ready.url).port}`;
	atHub = new Agent({ connect: { ca: readFileSync(join(hub.data, "ca/ca.crt"), "utf8") } });
	const setup = { "x-warren-setup": ready.setupUrl.split("#setup=")[1] as string };
	session = (await call(atHub, "POST", `${origin}/auth/signup`, person, setup)).body.token;
}

async function issueCertificates(): Promise<void> {
	await ca("init", "--out", folder.file("ca"), "--host", "127.0.0.1");
	const issue = (name: string, ...more: string[]) =>
		ca("issue-peer", "--name", name, ...more, "--ca-dir", folder.file("ca"), "--out", folder.file(name));
	await issue("coord", "--host", "127.0.0.1");
	const read = (file: string) => readFileSync(folder.file(file), "utf8");
	for (const name of ["one", "two"]) {
		await issue(name, "--tag", "paper");
		machines[name] = new Agent({
			connect: { ca: read("ca/ca.crt"), cert: read(`${name}/peer.crt`), key: read(`${name}/peer.key`) },
		});
	}
}

afterAll(async () => {
	for (const agent of [atHub, ...Object.values(machines)]) await agent?.destroy();
	await coordinator?.[Symbol.asyncDispose]();
	await hub?.[Symbol.asyncDispose]();
	folder[Symbol.dispose]();
});

describe("a join token of the hub", () => {
	const make = async (body: object) =>
		(await call(atHub, "POST", `${origin}/v1/join-tokens`, body, { authorization: `Bearer ${session}` })).body;

	it("lets a machine into the network and under the tags that it names, whatever the machine or its certificate says", async () => {
		const { token } = await make({ name: "supervisors", network: "lab", tags: ["supervisor", "firecracker"] });
		const refused = await register("one");
		expect([refused.status, refused.body.error]).toEqual([401, "bad_token"]);
		expect((await register("one", "wo_unknown")).status).toBe(401);
		const admitted = await register("one", ` ${token}\n`);
		expect(admitted).toMatchObject({ status: 200, body: { network: "lab", tags: ["supervisor", "firecracker"] } });
		expect(admitted.body.ula).toMatch(/^fd5a:1f00:(?!0000)/);
	});

	it("that is for one key admits no other, and one that was withdrawn nobody", async () => {
		const one = await make({ name: "one", oneKey: true });
		const key = randomBytes(32).toString("base64");
		expect((await register("two", one.token, key)).status).toBe(200);
		expect((await register("one", one.token)).status).toBe(401);
		const gone = await make({ name: "gone" });
		const ended = await call(atHub, "DELETE", `${origin}/v1/join-tokens/${gone.joinToken.id}`, undefined, {
			authorization: `Bearer ${session}`,
		});
		expect(ended.status).toBe(204);
		expect((await register("one", gone.token)).status).toBe(401);
	});

	it("is neither good nor bad while the hub is away", async () => {
		const { token } = await make({ name: "later" });
		await hub[Symbol.asyncDispose]();
		const answer = await register("one", token);
		expect([answer.status, answer.body.fix]).toEqual([503, expect.any(String)]);
	});
});
