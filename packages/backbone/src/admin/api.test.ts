import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { freePort, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SharedState, TestBackbone } from "../backbone.testing.ts";
import { registrationLimits } from "./principal-routes.ts";

let backbone: TestBackbone;
beforeEach(async () => {
	backbone = await TestBackbone.open();
});
afterEach(() => backbone[Symbol.asyncDispose]());

/** Anew, with time that stands: what is counted by the second is not paid off while the test is slow. */
async function stopTime(): Promise<void> {
	await backbone[Symbol.asyncDispose]();
	backbone = await TestBackbone.open({}, undefined, { clock: new VirtualClock() });
}

const register = (from: TestBackbone, body: object = { name: "Ada", email: "ada@example.com" }) =>
	from.api("POST", "/principals", { admin: false, body });

/** Has a port of this loopback until it is disposed of. */
async function strangerOn(protocol: "tcp" | "udp"): Promise<AsyncDisposable & { readonly port: number }> {
	if (protocol === "udp") {
		const socket = createSocket("udp4");
		await once(socket.bind(0, "127.0.0.1"), "listening");
		return { port: socket.address().port, [Symbol.asyncDispose]: async () => void socket.close() };
	}
	const server = createServer();
	await once(server.listen(0, "127.0.0.1"), "listening");
	return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

describe("the admin API", () => {
	it.each([
		["POST", "/admin/api/tokens"],
		["GET", "/admin/api/tokens"],
		["DELETE", "/admin/api/tokens/x"],
		["POST", "/admin/api/grants"],
		["DELETE", "/admin/api/grants/x/y"],
		["GET", "/admin/api/grants/x"],
		["GET", "/admin/api/principals"],
		["DELETE", "/admin/api/principals/x"],
		["GET", "/admin/api/services"],
		["GET", "/admin/api/cluster"],
		["GET", "/admin/api/audit"],
		["GET", "/metrics"],
	])("%s %s is the administrator's alone", async (method, path) => {
		expect((await backbone.api(method, path, { admin: false })).status).toBe(401);
		const wrong = { authorization: "Bearer not-the-administrator" };
		expect((await backbone.api(method, path, { admin: false, headers: wrong })).status).toBe(401);
	});

	it("tokens, grants, principals and services as its page says, each change in the audit, no secret in it", async () => {
		const token = await backbone.api("POST", "/admin/api/tokens", { body: { service_name: "myapp" } });
		expect(token).toMatchObject({
			status: 201,
			json: { service: "myapp", token: expect.stringMatching(/^mosb_myapp_/) },
		});
		const listed = await backbone.api("GET", "/admin/api/tokens");
		expect(listed.json.tokens).toMatchObject([{ id: token.json.id, service: "myapp" }]);
		expect(listed.text).not.toContain(token.json.token);

		const { json: ada } = await register(backbone);
		expect(ada.credential).toMatch(new RegExp(`^mosb_pr_${ada.principal_id}_[A-Za-z0-9_-]{43}$`));
		const grant = { principal_id: ada.principal_id, service: "myapp" };
		expect((await backbone.api("POST", "/admin/api/grants", { body: grant })).status).toBe(201);
		expect((await backbone.api("POST", "/admin/api/grants", { body: grant })).status).toBe(200);
		expect((await backbone.api("POST", "/admin/api/grants", { body: { ...grant, service: "none" } })).status).toBe(404);
		expect((await backbone.api("GET", `/admin/api/grants/${ada.principal_id}`)).json.grants).toMatchObject([grant]);
		const principals = await backbone.api("GET", "/admin/api/principals");
		expect(principals.json.principals).toMatchObject([{ principal_id: ada.principal_id, name: "Ada" }]);
		expect(principals.text).not.toContain(ada.credential);
		expect((await backbone.api("GET", "/admin/api/services")).json.services).toMatchObject([
			{ service: "myapp", connected: false, agents: [] },
		]);
		expect((await backbone.api("GET", "/admin/api/cluster")).json.nodes).toMatchObject([{ self: true, agents: [] }]);
		expect((await backbone.api("DELETE", `/admin/api/grants/${ada.principal_id}/myapp`)).status).toBe(200);
		expect((await backbone.api("DELETE", `/admin/api/grants/${ada.principal_id}/myapp`)).status).toBe(404);
		expect((await backbone.api("DELETE", `/admin/api/principals/${ada.principal_id}`)).status).toBe(200);
		expect((await backbone.api("DELETE", `/admin/api/tokens/${token.json.id}`)).status).toBe(200);
		expect((await backbone.api("DELETE", `/admin/api/tokens/${token.json.id}`)).status).toBe(404);

		const audit = await backbone.api("GET", "/admin/api/audit");
		expect((audit.json.records as { action: string }[]).map((each) => each.action).reverse()).toEqual([
			"backbone.token.create",
			"backbone.principal.create",
			"backbone.grant.create",
			"backbone.grant.create",
			"backbone.grant.revoke",
			"backbone.principal.revoke",
			"backbone.token.revoke",
		]);
		for (const secret of [token.json.token, ada.credential]) expect(audit.text).not.toContain(secret);
	});

	it("the cluster knows each agent by its lease", async () => {
		const { port } = await backbone.http((_request, response) => response.end());
		const agent = await backbone.agent("web", port);
		const agents = async () => (await backbone.api("GET", "/admin/api/cluster")).json.nodes[0].agents as unknown[];
		expect(await agents()).toMatchObject([{ service: "web" }]);
		await agent.close(0);
		await expect.poll(agents).toEqual([]);
	});

	it("a service's own port and domain lead to it, and are nobody else's", async () => {
		const { port } = await backbone.http((_request, response) => response.end("ok"));
		await backbone.agent("web", port);
		await backbone.token("other");
		const change = (service: string, body: object) => backbone.api("PATCH", `/admin/api/services/${service}`, { body });
		expect((await change("web", { domains: ["shop.example.com"] })).status).toBe(200);
		expect((await change("other", { domains: ["shop.example.com"] })).status).toBe(409);
		expect((await change("web", { domains: ["other.mos.test"] })).status).toBe(400);
		const ask = "GET / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\n\r\n";
		expect(await backbone.raw(ask)).toMatch(/ok$/);
		await change("web", { domains: [] });
		expect(await backbone.raw(ask)).toMatch(/^HTTP\/1.1 421/);
	});

	it.each(["http", "tcp", "udp"] as const)(
		"a port that is somebody else's is refused, and nothing is changed (%s)",
		async (kind) => {
			await backbone.token("mine", kind);
			await backbone.token("hers");
			await using stranger = await strangerOn(kind === "udp" ? "udp" : "tcp");
			const shown = async () => {
				const { services } = (await backbone.api("GET", "/admin/api/services")).json as {
					services: { service: string }[];
				};
				return services.find(({ service }) => service === "mine");
			};
			const before = await shown();
			const change = (body: object) => backbone.api("PATCH", "/admin/api/services/mine", { body });
			const settings = { requests_per_second: 7 };
			expect(await change({ settings, port: stranger.port, domains: ["shop.example.com"] })).toMatchObject({
				status: 409,
				json: {
					error: "conflict",
					message: expect.stringMatching(`^Port ${stranger.port} cannot be had: .*EADDRINUSE`),
					fix: expect.stringMatching(/Choose another/),
				},
			});
			expect(await shown()).toEqual(before);
			// Its own once more is no change, and a name that is another's undoes the port beside it.
			const port = await freePort();
			expect(await change({ port })).toMatchObject({ status: 200, json: { port } });
			expect(await change({ port })).toMatchObject({ status: 200, json: { port } });
			await backbone.api("PATCH", "/admin/api/services/hers", { body: { domains: ["hers.example.com"] } });
			expect((await change({ settings, port: null, domains: ["hers.example.com"] })).status).toBe(409);
			expect(await shown()).toMatchObject({ port, settings: {}, domains: [] });
		},
	);

	it("a service that would be made with a range that is none is refused, and a backbone opens anew without it", async () => {
		await using shared = await SharedState.open();
		await using first = await TestBackbone.open({}, shared);
		const make = (settings: object) =>
			first.api("POST", "/admin/api/tokens", { body: { service_name: "web", settings } });
		expect(await make({ deny: ["10.0.0.0/8", "everybody"] })).toMatchObject({
			status: 400,
			json: { error: "bad_request", message: expect.stringContaining("everybody") },
		});
		await using again = await TestBackbone.open({}, shared);
		expect((await again.api("GET", "/admin/api/services")).json.services).toEqual([]);
		// No limit is none, not one of nothing.
		expect((await make({ requests_per_second: null, bytes_per_second: null, deny: [] })).status).toBe(201);
		expect((await first.api("GET", "/admin/api/services")).json.services).toMatchObject([{ settings: { deny: [] } }]);
		const { port } = await first.http((_request, response) => response.end("ok"));
		await first.agent("web", port);
		expect(await first.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n")).toMatch(/ok$/);
	});

	it("what was recorded of a service goes with it", async () => {
		const { port } = await backbone.http((_request, response) => response.end("done"));
		const settings = { inspect: true };
		const make = () => backbone.api("POST", "/admin/api/tokens", { body: { service_name: "web", settings } });
		const recorded = async () => (await backbone.api("GET", "/admin/api/services/web/requests")).json.requests;
		await backbone.agent("web", port, { token: (await make()).json.token });
		await backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n");
		expect(await recorded()).toHaveLength(1);
		await backbone.api("DELETE", "/admin/api/services/web");
		await make();
		expect(await recorded()).toEqual([]);
	});

	it("a change of settings keeps what another node set and this one has not heard of", async () => {
		await using shared = await SharedState.open();
		await using first = await TestBackbone.open({}, shared);
		await using second = await TestBackbone.open({}, shared);
		await first.token("web");
		shared.bus.isAway = true;
		const change = (at: TestBackbone, settings: object) =>
			at.api("PATCH", "/admin/api/services/web", { body: { settings } });
		expect((await change(first, { deny: ["10.0.0.1"], requests_per_second: 7 })).status).toBe(200);
		const answer = await change(second, { require_identity: true, requests_per_second: null });
		expect(answer).toMatchObject({ status: 200 });
		expect(answer.json.settings).toEqual({ deny: ["10.0.0.1"], require_identity: true });
	});

	it("a principal that is revoked while it is approved stays revoked", async () => {
		const { id } = await backbone.principal();
		const [revoked] = await Promise.all([
			backbone.backbone.principals.set(id, { state: "revoked" }),
			backbone.backbone.principals.set(id, { state: "active" }).catch(() => null),
		]);
		expect(revoked.state).toBe("revoked");
		expect((await backbone.backbone.principals.get(id)).state).toBe("revoked");
	});

	it("a grant or a token that is made while its service is taken away opens no later service of that name", async () => {
		const { principals, services } = backbone.backbone;
		const { id } = await backbone.principal();
		for (let tries = 0; tries < 8; tries++) {
			const old = await backbone.token("web");
			const removing = services.remove("web");
			const granting = Array.from({ length: 4 }, () => principals.grant(id, "web", "test").catch(() => false));
			const making = Array.from({ length: 4 }, () => services.createToken("web", { by: "test" }).catch(() => null));
			await Promise.all([removing, ...granting, ...making]);
			// A token may have made it anew: that one is good, and what was before is not.
			expect(await services.authenticate(old)).toBeNull();
			if (services.get("web") !== null) await services.remove("web");
			expect(await principals.grantsOf(id)).toEqual([]);
			expect(await services.tokens()).toEqual([]);
		}
	});

	it("the inspector keeps exchanges without their secrets, and sends one again as nobody", async () => {
		const seen: { url: string; authorization: string | undefined; sub: unknown; body: string }[] = [];
		const { port } = await backbone.http((request, response) => {
			let body = "";
			request.setEncoding("utf8").on("data", (text: string) => (body += text));
			request.on("end", () => {
				const { authorization, "x-mosb-sub": sub } = request.headers;
				seen.push({ url: request.url ?? "", authorization, sub, body });
				response.end("done");
			});
		});
		await backbone.agent("web", port);
		const { credential } = await backbone.principal("web");
		const post = `POST /x?token=hush-hush&a=1 HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nAuthorization: Bearer s3cret\r\nX-Note: kept\r\nx-backbone-principal: ${credential}\r\nContent-Length: 5\r\n\r\nhello`;
		await backbone.raw(post);
		const recorded = () => backbone.api("GET", "/admin/api/services/web/requests");
		expect((await recorded()).json.requests).toEqual([]);
		await backbone.api("PATCH", "/admin/api/services/web", { body: { settings: { inspect: true } } });
		await backbone.raw(post);
		const { json, text } = await recorded();
		expect(json.requests).toMatchObject([
			{ method: "POST", target: "/x?token=REDACTED&a=1", status: 200, request_bytes: 5 },
		]);
		for (const secret of ["s3cret", credential, "hush-hush"]) expect(text).not.toContain(secret);
		const again = await backbone.api("POST", `/admin/api/services/web/requests/${json.requests[0].id}/replay`);
		expect(again.json).toEqual({ status: 200, body: "done" });
		expect(seen.at(-1)).toMatchObject({ body: "hello", authorization: undefined, sub: undefined });
	});

	it("a limit so small that no client could wait for it is refused", async () => {
		await stopTime();
		await backbone.token("web");
		const limits = (settings: object) => backbone.api("PATCH", "/admin/api/services/web", { body: { settings } });
		expect((await limits({ requests_per_second: 1e-300 })).status).toBe(400);
		expect((await limits({ bytes_per_second: 1e-9 })).status).toBe(400);
		expect((await limits({ requests_per_second: 0.001 })).status).toBe(200);
		const ask = () => backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n");
		await ask();
		expect(await ask()).toMatch(/ 429 [\s\S]*\r\nRetry-After: 1000\r\n/);
	});

	it("a limit of bandwidth holds an answer back", async () => {
		const { port } = await backbone.http((_request, response) => response.end(Buffer.alloc(60_000)));
		await backbone.agent("web", port);
		await backbone.api("PATCH", "/admin/api/services/web", { body: { settings: { bytes_per_second: 100_000 } } });
		const before = performance.now();
		await backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n");
		const again = await backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n");
		expect(again.length).toBeGreaterThan(60_000);
		expect(performance.now() - before).toBeGreaterThan(100);
	});

	it("says the same as JSON and, to a browser, as text that can be read", async () => {
		const ask = (path: string, accept: string) => backbone.api("GET", path, { headers: { accept } });
		for (const path of ["/", "/admin/api/cluster"]) {
			const json = await ask(path, "application/json");
			expect(json.headers.get("content-type")).toContain("application/json");
			const page = await ask(path, "text/html,application/xhtml+xml");
			expect(page.headers.get("content-type")).toContain("text/plain");
			expect(page.json).toBeNull();
		}
		const { json } = await ask("/", "application/json");
		const listed = (json.endpoints as { method: string; path: string; auth: string }[]).map(
			({ method, path, auth }) => `${method} ${path} ${auth}`,
		);
		// The page's own quick reference, whole.
		for (const line of [
			"POST /principals none",
			"POST /url-tokens principal cred",
			"GET /healthz none",
			"POST /admin/api/tokens admin token",
			"GET /admin/api/tokens admin token",
			"DELETE /admin/api/tokens/:id admin token",
			"POST /admin/api/grants admin token",
			"DELETE /admin/api/grants/:pid/:svc admin token",
			"GET /admin/api/grants/:pid admin token",
			"GET /admin/api/principals admin token",
			"DELETE /admin/api/principals/:cid admin token",
			"GET /admin/api/services admin token",
			"GET /admin/api/cluster admin token",
		])
			expect(listed).toContain(line);
	});

	it("limits of one principal hold that one back, and nobody else", async () => {
		await stopTime();
		const { port } = await backbone.http((_request, response) => response.end("ok"));
		await backbone.agent("web", port);
		const [ada, bob] = [await backbone.principal("web"), await backbone.principal("web")];
		const body = { limits: { requests_per_second: 1 } };
		expect((await backbone.api("PATCH", `/admin/api/principals/${ada.id}`, { body })).status).toBe(200);
		const ask = ({ credential }: { credential: string }) =>
			backbone.raw(
				`GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nx-backbone-principal: ${credential}\r\n\r\n`,
			);
		expect(await ask(ada)).toMatch(/^HTTP\/1.1 200/);
		expect(await ask(ada)).toMatch(/^HTTP\/1.1 429 [\s\S]*Retry-After: 1\r\n/);
		for (let each = 0; each < 3; each++) expect(await ask(bob)).toMatch(/^HTTP\/1.1 200/);
	});

	it("a principal's own bandwidth holds its answers and bodies back, and nobody else's", async () => {
		const clock = new VirtualClock();
		await using slow = await TestBackbone.open({}, undefined, { clock });
		const { port } = await slow.http((request, response) => {
			request.resume();
			request.on("end", () => response.end(Buffer.alloc(60_000)));
		});
		await slow.agent("web", port);
		const [ada, bob] = [await slow.principal("web"), await slow.principal("web")];
		const body = { limits: { bytes_per_second: 100_000 } };
		expect((await slow.api("PATCH", `/admin/api/principals/${ada.id}`, { body })).status).toBe(200);
		const over: string[] = [];
		const ask = async (name: string, { credential }: { credential: string }, sent = "") => {
			const text = await slow.raw(
				`POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nContent-Length: ${sent.length}\r\nx-backbone-principal: ${credential}\r\n\r\n${sent}`,
			);
			expect(text).toMatch(/^HTTP\/1.1 200/);
			expect(text.length).toBeGreaterThan(60_000);
			over.push(name);
		};
		/** How long it had to wait, by the backbone's clock. */
		const until = async (name: string) => {
			const begun = clock.now();
			while (over.at(-1) !== name) {
				await clock.advance(10);
				// Its agent answers in the time of the wall: minutes of the backbone's must not pass before it can.
				await new Promise((resolve) => setTimeout(resolve, 1));
			}
			return clock.now() - begun;
		};
		void ask("ada", ada, "x".repeat(60_000));
		await until("ada");
		// What she has had is owed for: what she asks next waits until it is paid off, and time stands meanwhile.
		void ask("ada, held", ada);
		for (let each = 0; each < 3; each++) await ask("bob", bob, "x".repeat(60_000));
		expect(over).toEqual(["ada", "bob", "bob", "bob"]);
		expect(await until("ada, held")).toBeGreaterThan(100);
	});

	it("tells a principal what a service would be told about it", async () => {
		const { port } = await backbone.http((request, response) => response.end(JSON.stringify(request.headers)));
		await backbone.agent("web", port);
		const { id, credential } = await backbone.principal("web");
		const options = { admin: false, headers: { "x-backbone-principal": credential } };
		const { json } = await backbone.api("GET", "/principals/whoami?service=web", options);
		expect(json.headers).toMatchObject({ "x-mosb-sub": id, "x-mosb-name": "Ada", "x-mosb-email": "ada@example.com" });
		await backbone.token("other");
		expect((await backbone.api("GET", "/principals/whoami?service=other", options)).status).toBe(403);
		expect((await backbone.api("GET", "/principals/whoami?service=nobody", options)).status).toBe(404);
	});

	it("metrics count requests by service and outcome", async () => {
		const { port } = await backbone.http((_request, response) => response.end());
		await backbone.agent("web", port);
		await backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n");
		const { text } = await backbone.api("GET", "/metrics");
		expect(text).toContain('warren_backbone_requests{service="web",outcome="ok"} 1');
		expect(text).toContain("warren_backbone_agents 1");
	});
});

describe("POST /principals", () => {
	it("takes so many of one address, and then says when to come again", async () => {
		for (let each = 0; each < registrationLimits.burst; each++) expect((await register(backbone)).status).toBe(201);
		const refused = await register(backbone);
		expect(refused.status).toBe(429);
		expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(100);
	});

	it.each([
		{ name: "", email: "a@b.c" },
		{ name: "Ada\r\nx-mosb-sub: forged", email: "a@b.c" },
		{ name: "Ada", email: "no address" },
		{ name: "A".repeat(201), email: "a@b.c" },
		{},
	])("refuses %j", async (body) => {
		expect((await register(backbone, body)).status).toBe(400);
	});

	it("a name beyond ASCII arrives as an encoded word", async () => {
		const { port } = await backbone.http((request, response) => response.end(request.headers["x-mosb-name"]));
		await backbone.agent("web", port);
		const { json } = await register(backbone, { name: "Zoë", email: "zoe@example.com" });
		await backbone.backbone.principals.grant(json.principal_id, "web", "test");
		const ask = `GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nx-backbone-principal: ${json.credential}\r\n\r\n`;
		expect(await backbone.raw(ask)).toMatch(/=\?utf-8\?q\?Zo=C3=AB\?=$/);
	});

	it("with approval nobody gets anywhere before the administrator says so", async () => {
		await using careful = await TestBackbone.open({ approval: true });
		const { json } = await register(careful);
		const rotate = () =>
			careful.api("POST", "/principals/rotate", {
				admin: false,
				headers: { "x-backbone-principal": json.credential },
			});
		expect((await rotate()).status).toBe(403);
		await careful.api("PATCH", `/admin/api/principals/${json.principal_id}`, { body: { state: "active" } });
		expect((await rotate()).status).toBe(200);
	});
});
