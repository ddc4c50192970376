import { noNats, noPostgres } from "@warren/testkit";
import { fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";

/** Hubs of one cluster whose clocks are minutes apart, from each other and from the database's. */
const missing = noPostgres() ?? noNats();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const minuteMs = 60_000;
const behind = 0;
const ahead = 1;

describe.skipIf(missing !== null)(
	"hubs whose clocks differ by eleven minutes (skipped where PostgreSQL or NATS is not installed)",
	{ timeout: 90_000 },
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
		const both = [
			[behind, ahead],
			[ahead, behind],
		] as const;

		beforeAll(async () => {
			cluster = await Cluster.start(2, [], [-5 * minuteMs, 6 * minuteMs]);
			const setup = cluster.at(ahead).setupUrl?.split("#setup=")[1] as string;
			// Made by the one that is ahead, shown to the one that is behind.
			const answer = await fetch(`${cluster.at(behind).origin}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setup },
				body: JSON.stringify(person),
			});
			session = ((await answer.json()) as { token: string }).token;
		}, 90_000);
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
				const health = await call(at, "GET", "/api/health");
				const codes = (health.body.conditions as { code: string }[]).map(({ code }) => code);
				expect(codes).toContain("clock-off");
			}
		});
	},
);
