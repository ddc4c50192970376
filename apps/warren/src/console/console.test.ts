import { existsSync, readFileSync } from "node:fs";
import { type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

/** Real processes on a busy machine: bounds a hang, and times nothing. */
const patience = { timeout: 40_000 };
const tagged = (acls: object[], tests: object[] = []) => JSON.stringify({ acls, tests }, null, "\t");
const everybody = { action: "accept", src: ["tag:machine"], dst: ["tag:machine"] };

let node: StartedNode;
beforeAll(async () => {
	const ports = { WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0", WARREN_BACKBONE_PORT: "0" };
	node = await startNode({ command: ["up"], env: { WARREN_EDGE: "1", WARREN_SIDECAR_PORT: "0", ...ports } });
	for (const path of ["/api/network/policy", "/api/backbone/cluster"])
		await vi.waitFor(async () => expect((await node.fetch(path)).status).toBe(200), patience);
});
afterAll(() => node?.[Symbol.asyncDispose]());

async function ask(method: string, path: string, body?: object, headers: Record<string, string> = {}) {
	const answer = await node.fetch(path, {
		method,
		headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

describe("the policy, asked of the node", () => {
	it("is read with its ETag, tried, and replaced only by whoever has seen it", async () => {
		const { body: now } = await ask("GET", "/api/network/policy");
		expect(JSON.parse(now["text"] as string)).toEqual({ acls: [everybody] });
		const preview = await ask("POST", "/api/network/policy/preview", { text: tagged([]) });
		expect(preview).toMatchObject({ status: 200, body: { gainedCount: 0, lostCount: 0 } });

		const wanted = tagged([everybody, { action: "accept", src: ["tag:phone"], dst: ["tag:machine"], ports: [22] }]);
		const without = await ask("PUT", "/api/network/policy", { text: wanted });
		expect(without).toMatchObject({ status: 428, body: { error: "policy_unmatched" } });
		const saved = await ask("PUT", "/api/network/policy", { text: wanted }, { "if-match": now["etag"] as string });
		expect(saved).toMatchObject({ status: 200, body: { text: wanted } });
		const late = await ask("PUT", "/api/network/policy", { text: wanted }, { "if-match": now["etag"] as string });
		expect(late).toMatchObject({ status: 412, body: { error: "policy_stale" } });
	});

	it("is not replaced by one that fails its own tests, and says at which line", async () => {
		const { body: now } = await ask("GET", "/api/network/policy");
		const text = tagged([everybody], [{ src: "tag:machine", deny: ["tag:machine:22"] }]);
		const refused = await ask("PUT", "/api/network/policy", { text }, { "if-match": now["etag"] as string });
		expect(refused).toMatchObject({ status: 422, body: { error: "policy_test_failed" } });
		const line = text.split("\n").findIndex((each) => each.includes('"tests"')) + 2;
		expect(refused.body["message"]).toContain(`line ${line}:`);
		expect((await ask("GET", "/api/network/policy")).body["etag"]).toBe(now["etag"]);
	});

	it("has a history with who and when, the version before the first save included", async () => {
		const { body } = await ask("GET", "/api/network/policy/history");
		const versions = body["versions"] as { actor: string | null; at: number; text: string }[];
		expect(versions.map(({ actor }) => actor)).toEqual(["operator:ada", null]);
		expect(JSON.parse(versions[1]?.text ?? "")).toEqual({ acls: [everybody] });
	});
});

describe("the network, asked of the node", () => {
	it("shows what the coordinator knows, and tells what it cannot find", async () => {
		const { body } = await ask("GET", "/api/network");
		expect(body).toMatchObject({
			joiner: null,
			firstMachine: null,
			error: null,
			coordinator: { peers: [], removed: [] },
		});
		expect(await ask("GET", "/api/network/explain?from=a&to=b")).toMatchObject({
			status: 404,
			body: { error: "unknown_peer" },
		});
		expect((await ask("GET", "/api/network/explain?from=a")).status).toBe(400);
		expect((await ask("DELETE", "/api/network/peers/nobody")).status).toBe(404);
		expect(await ask("POST", "/api/network/devices", { name: "phone" })).toMatchObject({
			status: 404,
			body: { error: "not_joined" },
		});
	});
});

describe("the backbone, asked of the node", () => {
	it("makes a token that is shown once, registers, grants and revokes", async () => {
		const made = await ask("POST", "/api/backbone/tokens", { service_name: "web" });
		expect(made.body["token"]).toMatch(/^mosb_web_/);
		const { body: listed } = await ask("GET", "/api/backbone/tokens");
		expect(JSON.stringify(listed)).not.toContain(made.body["token"]);
		const principal = await ask("POST", "/api/backbone/principals", { name: "Bob", email: "bob@example.test" });
		expect(principal.body["credential"]).toMatch(/^mosb_pr_/);
		const id = principal.body["principal_id"] as string;
		expect((await ask("POST", "/api/backbone/grants", { principal_id: id, service: "web" })).status).toBe(200);
		expect((await ask("GET", `/api/backbone/grants/${id}`)).body["grants"]).toHaveLength(1);
		expect((await ask("DELETE", `/api/backbone/grants/${id}/web`)).status).toBe(200);
		expect((await ask("DELETE", `/api/backbone/tokens/${made.body["id"] as string}`)).status).toBe(200);
		const { body: audit } = await ask("GET", "/api/audit");
		const actions = (audit["records"] as { action: string; actor: string }[]).map(
			({ action, actor }) => `${actor} ${action}`,
		);
		for (const action of ["token.make", "principal.make", "grant.make", "grant.revoke", "token.revoke"])
			expect(actions).toContain(`operator:ada backbone.${action}`);
	});

	it("passes on no path but those of its table", async () => {
		for (const path of ["audit", "metrics", "services/../audit", "services/%2e%2e", "grants/a/b/c"])
			expect([400, 404, 405], path).toContain((await node.fetch(`/api/backbone/${path}`)).status);
	});
});

describe("the administrator's credential", () => {
	it("reaches no answer, no log and nobody who is not signed in", async () => {
		const token = readFileSync(`${node.data}/backbone-console.token`, "utf8").trim();
		for (const path of [
			"network",
			"network/policy",
			"network/policy/history",
			"backbone/services",
			"backbone/cluster",
		]) {
			const answer = await node.fetch(`/api/${path}`);
			expect(answer.status, path).toBe(200);
			expect(await answer.text(), path).not.toContain(token);
			expect((await node.fetch(`/api/${path}`, { headers: { authorization: "" } })).status, path).toBe(401);
		}
		expect(node.log()).not.toContain(token);
		expect(existsSync(`${node.data}/edge/backbone-console.token`), "the edge process holds its hash alone").toBe(false);
	});

	it("is needed nowhere where there is no edge: that is said", async () => {
		await using alone = await startNode();
		const answer = await alone.fetch("/api/backbone/services");
		expect(answer.status).toBe(409);
		expect(await answer.json()).toMatchObject({ error: "not_here", fix: expect.stringContaining("warren up") });
		const network = (await (await alone.fetch("/api/network")).json()) as { error: object };
		expect(network).toMatchObject({ coordinator: null, error: { error: "not_here" } });
	});
});
