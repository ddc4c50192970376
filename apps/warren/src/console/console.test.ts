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
	const gateway = { WARREN_GATEWAY: "1", WARREN_GATEWAY_PORT: "0" };
	node = await startNode({
		command: ["up"],
		env: { WARREN_EDGE: "1", WARREN_SIDECAR_PORT: "0", ...ports, ...gateway },
	});
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
		expect(preview).toMatchObject({ status: 200, body: { gainedCount: 0, lostCount: 0, portsCount: 0 } });

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

describe("activity, asked of the node", () => {
	type Records = {
		role: string;
		source: string;
		id: number;
		action: string;
		target: string;
		at: number;
		actor: string;
	}[];
	const read = async (query: Record<string, string> = {}) => {
		const { status, body } = await ask("GET", `/api/activity?${new URLSearchParams(query)}`);
		expect(status).toBe(200);
		return body as unknown as { records: Records; next: string | null; silent: object[] };
	};

	it("is one list of what node, coordinator, backbone and gateway wrote down, newest first", async () => {
		const status = (await ask("GET", "/api/status")).body as unknown as { roles: { name: string; port?: number }[] };
		const port = status.roles.find(({ name }) => name === "gateway")?.port;
		const mesh = { meshId: "attic", secret: "correct horse battery", name: "Attic" };
		const registered = await fetch(`http://localhost:${port}/register`, { method: "POST", body: JSON.stringify(mesh) });
		expect(registered.status).toBe(200);
		const kettle = await ask("POST", "/api/backbone/tokens", { service_name: "kettle" });
		expect(kettle.status).toBe(200);
		// Written once they were answered: the four logs are four files.
		await vi.waitFor(async () => {
			const { records, silent } = await read();
			expect(silent).toEqual([]);
			const told = records.map(({ role, action }) => `${role} ${action}`);
			for (const each of [
				"node backbone.token.make",
				"backbone backbone.token.create",
				"coordinator overlay.policy",
				"gateway gateway.register",
			])
				expect(told).toContain(each);
			// The last of them, and not only an earlier one: the pages below hold still.
			expect(records.map(({ target }) => target)).toContain(kettle.body["id"]);
			const times = records.map(({ at }) => at);
			expect(times).toEqual([...times].sort((a, b) => b - a));
		}, patience);
	});

	it("is read by role, by person and by pages, of which no record is lost or comes twice", async () => {
		expect((await read({ role: "gateway" })).records).toMatchObject([{ action: "gateway.register", target: "attic" }]);
		const own = (await read({ role: "node" })).records;
		expect(new Set(own.map(({ role }) => role))).toEqual(new Set(["node"]));
		const { records: adas } = await read({ actor: "operator:ada" });
		expect(adas.length).toBeGreaterThan(0);
		expect(adas.every(({ actor }) => actor === "operator:ada")).toBe(true);

		const key = ({ source, id }: Records[number]) => `${source} ${id}`;
		const whole = (await read()).records.map(key);
		const paged: string[] = [];
		for (let next: string | null = ""; next !== null; ) {
			const page: { records: Records; next: string | null } = await read({
				limit: "2",
				...(next === "" ? {} : { before: next }),
			});
			paged.push(...page.records.map(key));
			next = page.next;
		}
		expect(paged).toEqual(whole);
		expect(whole.length).toBeGreaterThan(4);
		expect(await ask("GET", "/api/activity?before=own.1_shop.2")).toMatchObject({ status: 400 });
		expect(await ask("GET", "/api/activity?limit=501")).toMatchObject({ status: 400 });
	});

	it("is the members' alone", async () => {
		expect((await ask("GET", "/api/activity", undefined, { authorization: "Bearer wd_nobody" })).status).toBe(401);
	});
});
