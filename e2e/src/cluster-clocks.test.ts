import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { noNats, noPostgres, startServer } from "@warren/testkit";
import { fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, setupOf, startHubs } from "./cluster.ts";
import { GatewayMesh } from "./gateway-mesh.ts";
import { visit } from "./visit.ts";

/** Instances of one cluster whose clocks are minutes apart, from each other and from the database's. */
const missing = noPostgres() ?? noNats();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const minuteMs = 60_000;
const behind = 0;
const ahead = 1;
const both = [
	[behind, ahead],
	[ahead, behind],
] as const;

describe.skipIf(missing !== null)(
	"hubs whose clocks differ by eleven minutes (skipped where PostgreSQL or NATS is not installed)",
	{ timeout: 240_000 },
	() => {
		let cluster: Cluster;
		let session: string;

		const call = async (at: number, method: string, path: string, body?: unknown, token: string | null = session) => {
			const answer = await fetch(`${cluster.at(at).origin}${path}`, {
				method,
				headers: {
					...(body === undefined ? {} : { "content-type": "application/json" }),
					...(token === null ? {} : { authorization: `Bearer ${token}` }),
				},
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			const text = await answer.text();
			return { status: answer.status, body: (text === "" ? null : JSON.parse(text)) as any };
		};
		const signIn = async (at: number) =>
			(await call(at, "POST", "/auth/login", { email: person.email, password: person.password }, null)).body
				.token as string;
		beforeAll(async () => {
			cluster = await startHubs(2, [], { offMs: [-5 * minuteMs, 6 * minuteMs] });
			const setup = setupOf(cluster);
			// Made by the one that is ahead, shown to the one that is behind.
			const answer = await fetch(`${cluster.at(behind).origin}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setup },
				body: JSON.stringify(person),
			});
			session = ((await answer.json()) as { token: string }).token;
		}, 240_000);
		afterAll(() => cluster?.[Symbol.asyncDispose]());

		it.each(both)("a session of hub %i is one at hub %i, and its end there is its end here", async (made, used) => {
			const token = await signIn(made);
			expect((await call(used, "GET", "/me", undefined, token)).body.user.email).toBe(person.email);
			expect((await call(used, "POST", "/auth/sign-out", {}, token)).status).toBe(200);
			await expect.poll(async () => (await call(made, "GET", "/me", undefined, token)).status).toBe(401);
		});

		it.each(both)("a pairing code of three minutes, made at hub %i, pairs at hub %i", async (made, used) => {
			const { body } = await call(made, "POST", "/me/pairings", {});
			const left = body.expiresAt - Date.now();
			expect(Math.abs(left - 3 * minuteMs), "by the time of day that is right").toBeLessThan(minuteMs / 2);
			const { code } = body;
			const claim = () => call(used, "POST", "/auth/pair", { code, deviceName: "Phone" }, null);
			expect((await claim()).status, "it waits for a word from the other screen").toBe(202);
			expect((await call(made, "GET", `/me/pairings/${body.id}`)).body.state).toBe("claimed");
			expect((await call(used, "POST", `/me/pairings/${body.id}/confirm`, { allow: true })).status).toBeLessThan(300);
			const answer = await claim();
			expect([answer.status, typeof answer.body.token]).toEqual([201, "string"]);
			expect((await call(made, "GET", "/me", undefined, answer.body.token)).status).toBe(200);
		});

		it.each(both)("an invitation of hub %i is taken by hub %i", async (made, used) => {
			const { body } = await call(made, "POST", "/me/invitations", { role: "user" });
			const who = { ...person, email: `bob${made}@example.test`, invitation: body.code };
			expect((await call(used, "POST", "/auth/signup", who, null)).status).toBe(200);
		});

		it.each(both)("what hub %i dates counts from the time of day that is right", async (made) => {
			const { body } = await call(made, "POST", "/me/invitations", { role: "user" });
			const days = (body.invitation.expiresAt - Date.now()) / (24 * 60 * minuteMs);
			expect(days).toBeGreaterThan(0.9);
			expect(Math.abs(days - Math.round(days)) * 24 * 60).toBeLessThan(1);
		});

		it("documents: what both write, both have, in the database's order", async () => {
			expect((await call(behind, "POST", "/rooms", { id: "plan", title: "Plan" })).status).toBe(201);
			expect((await call(ahead, "PATCH", "/rooms/plan", { title: "Later" })).status).toBeLessThan(300);
			for (const at of [behind, ahead]) {
				const { body } = await call(at, "GET", "/rooms/plan");
				expect(body.title).toBe("Later");
				expect(body.updatedAt).toBeGreaterThanOrEqual(body.createdAt);
				expect(Math.abs(body.updatedAt - Date.now())).toBeLessThan(minuteMs / 2);
			}
		});

		it("the machine that is off is shown to be", async () => {
			for (const at of [behind, ahead]) {
				const codes = async () =>
					((await call(at, "GET", "/api/health")).body.conditions as { code: string }[]).map(({ code }) => code);
				await expect.poll(codes).toContain("clock-off");
			}
		});
	},
);

describe.skipIf(missing !== null)(
	"a database whose clock is an hour ahead (skipped where PostgreSQL or NATS is not installed)",
	{ timeout: 240_000 },
	() => {
		it("is the one that its hubs go by: what one dates the other judges, and each says that it is off", async () => {
			await using cluster = await startHubs(2, [], { databaseOffMs: 60 * minuteMs });
			const call = async (at: number, method: string, path: string, body: unknown, headers = {}) => {
				const answer = await fetch(`${cluster.at(at).origin}${path}`, {
					method,
					headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
					...(body === undefined ? {} : { body: JSON.stringify(body) }),
				});
				return { status: answer.status, body: (await answer.json()) as any };
			};
			const { body: me } = await call(1, "POST", "/auth/signup", person, { "x-warren-setup": setupOf(cluster) });
			const session = { authorization: `Bearer ${me.token}` };
			for (const [made, used] of both) {
				const { body } = await call(made, "POST", "/me/pairings", {}, session);
				expect(Math.abs(body.expiresAt - Date.now() - 63 * minuteMs)).toBeLessThan(minuteMs / 2);
				const code = String(body.url).split("#pair=")[1];
				expect((await call(used, "POST", "/auth/pair", { code, deviceName: "Phone" })).status).toBe(202);
				const conditions = async () => (await call(used, "GET", "/api/health", undefined, session)).body.conditions;
				// What it takes to ask the time is in it.
				await expect
					.poll(conditions)
					.toContainEqual(
						expect.objectContaining({ code: "clock-off", title: expect.stringMatching(/-3(59|60)\d s off/) }),
					);
			}
		});
	},
);

describe.skipIf(missing !== null)(
	"other roles whose clocks differ by twenty minutes (skipped where PostgreSQL or NATS is not installed)",
	{ timeout: 240_000 },
	() => {
		const offMs = [-10 * minuteMs, 10 * minuteMs];
		const admin = "an-administrator-of-tests";
		const json = { authorization: `Bearer ${admin}`, "content-type": "application/json" };
		const ask = async (url: string, method: string, body?: unknown, headers: object = json) => {
			const answer = await fetch(url, {
				method,
				headers: { ...headers } as Record<string, string>,
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			const text = await answer.text();
			return { status: answer.status, body: (/^[[{]/.test(text) ? JSON.parse(text) : text) as any };
		};
		const codesOf = (body: { conditions: { code: string }[] }) => body.conditions.map(({ code }) => code);

		it("backbones: a link of a minute made at one is good at the other, a hop is fresh, and services are told the right time", async () => {
			await using cluster = await Cluster.start(2, {
				role: "backbone",
				flags: ["--http", "--stream-ports", "0-0"],
				env: { BACKBONE_ADMIN_TOKEN: admin },
				copied: ["backbone/master.secret"],
				offMs,
			});
			const service = createServer((request, response) => response.end(String(request.headers["x-mosb-jwt"] ?? "")));
			await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
			const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;
			const { token } = (await ask(`${cluster.at(0).origin}/admin/api/tokens`, "POST", { service_name: "web" })).body;
			const args = ["agent", "--backbone", cluster.at(0).origin, "--service", "web", "--target", target];
			const agent = await startServer(args, { BACKBONE_SERVICE_TOKEN: token });
			try {
				const { body } = await ask(`${cluster.at(1).origin}/principals`, "POST", { name: "Ada", email: "a@b.c" });
				const { credential, principal_id } = { ...body, ...body.principal };
				await ask(`${cluster.at(1).origin}/admin/api/grants`, "POST", { principal_id, service: "web" });
				const principal = { "x-backbone-principal": credential, "content-type": "application/json" };
				for (const [made, used] of both) {
					const link = { service: "web", expires_in: 60 };
					const issued = await ask(`${cluster.at(made).origin}/url-tokens`, "POST", link, principal);
					expect(issued.status, JSON.stringify(issued.body)).toBe(200);
					const path = `/?_mosb=${issued.body.token}`;
					const come = () => visit(cluster.at(used).port, "web.localhost", path);
					await expect.poll(async () => (await come()).status, { timeout: 60_000 }).toBe(200);
					const [, claims = ""] = (await come()).body.split(".");
					const { iat, exp } = JSON.parse(Buffer.from(claims, "base64url").toString()) as { iat: number; exp: number };
					expect(Math.abs(iat * 1000 - Date.now())).toBeLessThan(minuteMs);
					expect(exp * 1000).toBeGreaterThan(Date.now());
				}
				for (const { origin } of cluster.instances) {
					const seen = (await ask(`${origin}/admin/api/cluster`, "GET")).body;
					expect([seen.registry, seen.nodes.length]).toEqual(["connected", 2]);
					expect(codesOf((await ask(`${origin}/admin/api/health`, "GET")).body)).toContain("clock-off");
				}
			} finally {
				await agent[Symbol.asyncDispose]();
				service.closeAllConnections();
				service.close();
			}
		});

		it.each([
			["the one behind", offMs],
			["the one ahead", offMs.toReversed()],
		])("gateways: what %s has queued waits at the other for as long as it should", async (_which, off) => {
			await using cluster = await Cluster.start(2, { role: "gateway", flags: [], withoutNats: true, offMs: off });
			const secret = "a-secret-of-a-mesh";
			for (const meshId of ["a", "b"])
				await ask(`${cluster.at(0).origin}/register`, "POST", { meshId, secret, name: meshId });
			const meet = (index: number, meshId: string) => GatewayMesh.meet(cluster.at(index).port, meshId, secret);
			await (await meet(0, "b")).leave();
			using a = await meet(0, "a");
			expect(await a.relay("kept", "b")).toBe("queued");
			const { epoch } = await cluster.leadership("gateway");
			await cluster.at(0).process.kill("SIGKILL");
			await expect
				.poll(async () => (await cluster.leadership("gateway")).epoch, { timeout: 60_000 })
				.toBeGreaterThan(epoch);
			using b = await meet(1, "b");
			await b.until(() => b.got.includes("kept"));
			const codes = async () => codesOf((await ask(`${cluster.at(1).origin}/api/health`, "GET")).body);
			await expect.poll(codes).toContain("clock-off");
		});

		it("coordinators: the lead is taken by how time passes, addresses stay, and machines are in after it", async () => {
			await using cluster = await Cluster.start(2, {
				role: "coordinator",
				flags: ["--insecure-no-mtls", "--no-stun"],
				env: { WARREN_ADMIN_TOKEN: admin, WARREN_ALLOW_INSECURE: "1" },
				withoutNats: true,
				offMs,
			});
			const machine = { wg_public_key: randomBytes(32).toString("base64"), display_name: "one" };
			const register = (index: number) => ask(`${cluster.at(index).origin}/v1/mesh/register`, "POST", machine);
			const before = await register(1);
			expect(before.status).toBe(200);
			const { epoch } = await cluster.leadership("coordinator");
			await cluster.at(0).process.kill("SIGKILL");
			await expect
				.poll(async () => (await cluster.leadership("coordinator")).epoch, { timeout: 60_000 })
				.toBeGreaterThan(epoch);
			const beat = () =>
				ask(`${cluster.at(1).origin}/v1/mesh/heartbeat`, "POST", { peer_id: before.body.peer_id }).catch(() => null);
			await expect.poll(async () => (await beat())?.status, { timeout: 60_000 }).toBe(200);
			expect((await register(1)).body.ula).toBe(before.body.ula);
			const codes = async () => codesOf((await ask(`${cluster.at(1).origin}/api/health`, "GET")).body);
			await expect.poll(codes).toContain("clock-off");
		});
	},
);
