import { request } from "node:http";
import { hashToken } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { vouchHeader } from "../client-address.ts";
import { bearer, type HubSource, isRemote, nextAddress, password, setupSecret, TestHub } from "../hub.testing.ts";
import { joinMachine, testJoin } from "../machines/machines.contract.ts";

const from = (address: string) => ({ "x-forwarded-for": address });

/** Sign-up, sign-in and every gotcha of the library, over real HTTP. */
export function authSuite(open: HubSource): void {
	describe("sign-up", () => {
		it("makes the first account the owner, with the setup secret alone", async () => {
			await using hub = await TestHub.open(open);
			const body = { name: "Ada", email: "ada@example.test", password };
			expect((await hub.call("POST", "/auth/signup", body, from(nextAddress()))).body.error).toBe("setup_needed");
			const wrong = await hub.call("POST", "/auth/signup", body, { "x-warren-setup": "guess", ...from(nextAddress()) });
			expect([wrong.status, wrong.body.error]).toEqual([401, "setup_spent"]);
			expect(await hub.accounts.hasOwner()).toBe(false);
			const token = await hub.owner();
			const me = await hub.call("GET", "/me", undefined, bearer(token));
			expect(me.body.user).toMatchObject({ name: "Ada", role: "owner", admin: true });
			expect(await hub.accounts.hasOwner()).toBe(true);
		});

		it("gives the setup secret back when the account was refused, and takes it once of two at a time", async () => {
			await using hub = await TestHub.open(open);
			const sign = (more: object) =>
				hub.call(
					"POST",
					"/auth/signup",
					{ name: "Ada", email: "ada@example.test", password, ...more },
					{ "x-warren-setup": setupSecret, ...from(nextAddress()) },
				);
			expect((await sign({ password: "short" })).body).toMatchObject({ error: "password_too_short", retryable: false });
			const both = await Promise.all([sign({}), sign({ email: "eve@example.test" })]);
			expect(both.filter((each) => each.status === 200)).toHaveLength(1);
			expect(both.find((each) => each.status !== 200)?.body.error).toMatch(/^(setup_spent|invitation_needed)$/);
		});

		it("tells nobody which addresses have accounts: later ones need an invitation, by whatever path", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner("ada@example.test");
			const tries = [];
			for (const path of ["/auth/signup", "/auth/sign-up/email", "/auth/sign-up/email/", "/auth//sign-up/email"])
				for (const email of ["ada@example.test", "new@example.test"])
					tries.push(await hub.call("POST", path, { name: "X", email, password }, from(nextAddress())));
			const seen = tries.map((each) => JSON.stringify([each.status, each.body]));
			for (let i = 0; i < seen.length; i += 2) expect(seen[i]).toBe(seen[i + 1]);
			expect(tries.slice(0, 4).map((each) => [each.status, each.body.error])).toEqual(
				Array(4).fill([403, "invitation_needed"]),
			);
			expect(tries.every((each) => each.status >= 400)).toBe(true);
		});

		it("takes an invitation once, gives it back when the account was refused, and honours its address", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const invite = async (body: object) =>
				(await hub.call("POST", "/me/invitations", body, bearer(owner))).body.code as string;
			const sign = (invitation: string, email: string, secret = password) =>
				hub.call("POST", "/auth/signup", { name: "Bob", email, password: secret, invitation }, from(nextAddress()));
			const code = await invite({});
			expect((await sign(code, "bob@example.test", "short")).status).toBe(400);
			expect((await sign(code, "bob@example.test")).status).toBe(200);
			expect((await sign(code, "carol@example.test")).body.error).toBe("bad_invitation");
			const bound = await invite({ email: "Dan@example.test", role: "admin" });
			expect((await sign(bound, "eve@example.test")).body.error).toBe("bad_invitation");
			const dan = await sign(bound, "dan@example.test");
			expect((await hub.call("GET", "/me", undefined, bearer(dan.body.token))).body.user.role).toBe("admin");
			const rows = JSON.stringify(await hub.tables.db.selectFrom("accounts_invitations").selectAll().execute());
			expect(rows).toContain(hashToken(code));
			expect(rows).not.toContain(code);
		});

		it("lets only administrators invite, and withdraws an invitation", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			const refused = await hub.call("POST", "/me/invitations", {}, bearer(bob));
			expect([refused.status, refused.body.error]).toEqual([403, "admin_only"]);
			const { body } = await hub.call("POST", "/me/invitations", {}, bearer(owner));
			expect(body.url).toBe(`${hub.origin}/#invitation=${body.code}`);
			expect((await hub.call("GET", "/me/invitations", undefined, bearer(owner))).body.invitations).toHaveLength(1);
			expect((await hub.call("DELETE", `/me/invitations/${body.invitation.id}`, undefined, bearer(owner))).status).toBe(
				204,
			);
			const late = await hub.call(
				"POST",
				"/auth/signup",
				{ name: "X", email: "x@example.test", password, invitation: body.code },
				from(nextAddress()),
			);
			expect(late.body.error).toBe("bad_invitation");
		});
	});

	describe("sessions", () => {
		it("answer to the original's names: login, signup, session", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const login = await hub.call(
				"POST",
				"/auth/login",
				{ email: "ada@example.test", password },
				{ "x-warren-device": "Phone", ...from(nextAddress()) },
			);
			expect(login.status).toBe(200);
			const session = await hub.call("GET", "/auth/session", undefined, bearer(login.body.token));
			expect(session.body.user).toMatchObject({ email: "ada@example.test" });
			expect(session.body.session.expiresAt).toBeGreaterThan(Date.now());
			const wrong = await hub.call(
				"POST",
				"/auth/login",
				{ email: "ada@example.test", password: "wrong password" },
				from(nextAddress()),
			);
			expect([wrong.status, wrong.body.error]).toEqual([401, "invalid_email_or_password"]);
			expect(wrong.body.fix).toContain("not the PIN");
			const half = await hub.call("POST", "/auth/login", { email: "ada@example.test" }, from(nextAddress()));
			expect(half.body).toMatchObject({ error: "validation_error", message: expect.stringContaining("password") });
			expect(half.body.fix).toContain("field");
		});

		it("that are invalid get 200 null from the library's own path and 401 from /auth/session", async () => {
			await using hub = await TestHub.open(open);
			const token = "A".repeat(32);
			const native = await hub.call("GET", "/auth/get-session", undefined, bearer(token));
			expect([native.status, native.body]).toEqual([200, null]);
			const ours = await hub.call("GET", "/auth/session", undefined, bearer(token));
			expect([ours.status, ours.body.error]).toEqual([401, "unauthorized"]);
			expect((await hub.call("GET", "/auth/session")).status).toBe(401);
		});

		it("are kept hashed, and a hash from the table signs nobody in", async () => {
			await using hub = await TestHub.open(open);
			const token = await hub.owner();
			const rows = (await hub.tables.db
				.selectFrom("auth_session" as never)
				.selectAll()
				.execute()) as { token: string }[];
			expect(rows.map((row) => row.token)).toEqual([hashToken(token)]);
			for (const stolen of [hashToken(token), hashToken(token).slice(0, 32)])
				for (const path of ["/auth/session", "/me"])
					expect((await hub.call("GET", path, undefined, bearer(stolen))).status).toBe(401);
			const native = await hub.call("GET", "/auth/get-session", undefined, bearer(hashToken(token)));
			expect(native.body).toBe(null);
		});

		it("travel in a __Host- cookie named after this install, Secure, on every path, of no domain", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
			const cookie = login.headers.getSetCookie().find((each) => each.includes("session_token")) ?? "";
			expect(cookie.split("=")[0]).toBe("__Host-warren-test.session_token");
			expect(cookie).toMatch(/; Path=\/(;|$)/);
			for (const attribute of ["Secure", "HttpOnly", "SameSite=Strict"]) expect(cookie).toContain(attribute);
			expect(cookie).not.toContain("Domain");
			const me = await hub.call("GET", "/me", undefined, { cookie: cookie.split(";")[0] as string });
			expect(me.body.user.name).toBe("Ada");
		});

		it("have no cookie cache: a revoked one is dead at once, also in the browser", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
			const cookies = login.headers.getSetCookie();
			expect(cookies.some((each) => each.includes("session_data"))).toBe(false);
			const cookie = { cookie: cookies.map((each) => each.split(";")[0]).join("; ") };
			const { body } = await hub.call("GET", "/me", undefined, cookie);
			expect((await hub.call("DELETE", `/me/devices/${body.deviceId}`, undefined, bearer(owner))).status).toBe(204);
			expect((await hub.call("GET", "/auth/get-session", undefined, cookie)).body).toBe(null);
			expect((await hub.call("GET", "/me", undefined, cookie)).status).toBe(401);
		});

		it("sign out, by bearer without an Origin and by cookie only with a trusted one", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const login = async () => {
				const done = await hub.call(
					"POST",
					"/auth/login",
					{ email: "ada@example.test", password },
					from(nextAddress()),
				);
				return {
					token: done.body.token as string,
					cookie: done.headers
						.getSetCookie()
						.map((each) => each.split(";")[0])
						.join("; "),
				};
			};
			const first = await login();
			expect((await hub.call("POST", "/auth/sign-out", {}, { cookie: first.cookie })).status).toBe(403);
			const evil = await hub.call(
				"POST",
				"/auth/sign-out",
				{},
				{ cookie: first.cookie, origin: "https://evil.example" },
			);
			expect([evil.status, evil.body.error]).toEqual([403, "bad_origin"]);
			const nullOrigin = await hub.call("POST", "/auth/sign-out", {}, { cookie: first.cookie, origin: "null" });
			expect(nullOrigin.status).toBe(403);
			expect((await hub.call("GET", "/me", undefined, { cookie: first.cookie })).status).toBe(200);
			expect((await hub.call("POST", "/auth/sign-out", {}, { cookie: first.cookie, origin: hub.origin })).status).toBe(
				200,
			);
			expect((await hub.call("GET", "/me", undefined, { cookie: first.cookie })).status).toBe(401);
			const patch = (headers: Record<string, string>) => hub.call("PATCH", "/me", { name: "Ada" }, headers);
			const third = await login();
			expect((await patch({ cookie: third.cookie })).body.error).toBe("bad_origin");
			expect((await patch({ cookie: third.cookie, origin: hub.origin })).status).toBe(200);
			expect((await patch(bearer(third.token))).status).toBe(200);
			const second = await login();
			expect((await hub.call("POST", "/auth/sign-out", {}, bearer(second.token))).status).toBe(200);
			expect((await hub.call("GET", "/me", undefined, bearer(second.token))).status).toBe(401);
		});

		it("trust LAN and tailnet names as origins, also those that are added later", async (context) => {
			context.skip(isRemote(open), "its names are configured, and do not change while it runs");
			const tailnet = "https://burrow.tail0000.example:5151";
			const names = new Set<string>();
			const cors = new Set([tailnet]);
			await using hub = await TestHub.open(open, {
				options: { trustedOrigins: () => [...names] },
				corsOrigins: cors,
				hosts: ["burrow.local"],
			});
			await hub.owner();
			const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
			const cookie = login.headers
				.getSetCookie()
				.map((each) => each.split(";")[0])
				.join("; ");
			const update = (origin: string) => hub.call("POST", "/auth/update-user", { name: "Ada L." }, { cookie, origin });
			expect((await update(tailnet)).status).toBe(403);
			names.add(tailnet);
			expect((await update(tailnet)).status).toBe(200);
		});

		it("take the token as it is, signed or not: the device flow's has no signature", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
			const signed = login.headers.get("set-auth-token") ?? "";
			expect(signed).toContain(".");
			for (const token of [login.body.token, signed]) {
				expect((await hub.call("GET", "/me", undefined, bearer(token))).status).toBe(200);
				expect((await hub.call("GET", "/auth/get-session", undefined, bearer(token))).body?.user.name).toBe("Ada");
			}
		});
	});

	describe("rate limits", () => {
		it("are on, and one client's do not lock out another", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const login = (address: string, secret = "wrong password") =>
				hub.call("POST", "/auth/login", { email: "ada@example.test", password: secret }, from(address));
			const attacker = nextAddress();
			const tries = [];
			for (let i = 0; i < 4; i++) tries.push(await login(attacker));
			expect(tries.map((each) => each.status)).toEqual([401, 401, 401, 429]);
			expect(tries[3]?.body).toMatchObject({ error: "rate_limited", retryable: true });
			expect(Number(tries[3]?.headers.get("retry-after"))).toBeGreaterThan(0);
			expect((await login(nextAddress(), password)).status).toBe(200);
		});

		it("go by the socket's address: no header buys another bucket", async () => {
			await using hub = await TestHub.open(open, { trustedProxies: [] });
			const statuses = [];
			for (let i = 0; i < 4; i++) {
				const spoofed = nextAddress();
				const done = await hub.call(
					"POST",
					"/auth/login",
					{ email: "ada@example.test", password },
					{
						"x-forwarded-for": spoofed,
						"x-warren-client-address": spoofed,
						"x-real-ip": spoofed,
						forwarded: `for=${spoofed}`,
					},
				);
				statuses.push(done.status);
			}
			expect(statuses).toEqual([401, 401, 401, 429]);
		});
	});

	it("rate limits go by what a machine of this warren says of its clients, and by nobody else's word", async (context) => {
		context.skip(isRemote(open), "no machine joins it: it has no certificate authority");
		await using hub = await TestHub.open(open, { trustedProxies: [], deps: { join: await testJoin() } });
		const owner = await hub.owner();
		const { body: attic } = await joinMachine(hub, owner);
		const login = async (address: string, node: string) => {
			const body = { email: "ada@example.test", password: "wrong password" };
			return (await hub.call("POST", "/auth/login", body, { ...from(address), [vouchHeader]: node })).status;
		};
		const [one, other] = [nextAddress(), nextAddress()];
		const statuses = [];
		for (let i = 0; i < 4; i++) statuses.push(await login(one, attic.nodeToken));
		statuses.push(await login(other, attic.nodeToken));
		expect(statuses).toEqual([401, 401, 401, 429, 401]);
		const forged = [];
		for (let i = 0; i < 4; i++) forged.push(await login(nextAddress(), "wn_forged"));
		expect(forged).toEqual([401, 401, 401, 429]);
	});

	it("malformed bodies are refused, never a fault", async () => {
		await using hub = await TestHub.open(open, { deps: { join: await testJoin() } });
		const bodies = [
			"",
			"null",
			"[]",
			"1",
			'"x"',
			"{",
			'{"__proto__":{"a":1}}',
			`{"email":${"[".repeat(500)}`,
			"\0",
			"a=b&a=c",
		];
		const types = ["application/json", "application/x-www-form-urlencoded", "text/plain"];
		const paths = [
			"/auth/login",
			"/auth/signup",
			"/auth/device/code",
			"/auth/device/token",
			"/auth/pair",
			"/auth/passkey/verify-authentication",
			"/v1/join",
			"/v1/validate",
		];
		const seen = new Map<number, number>();
		for (const path of paths)
			for (const type of types)
				for (const body of bodies) {
					const { status } = await fetch(`${hub.origin}${path}`, {
						method: "POST",
						headers: { "content-type": type, ...from(nextAddress()) },
						body,
					});
					expect([path, type, body.slice(0, 20), status >= 400 && status < 500]).toEqual([
						path,
						type,
						body.slice(0, 20),
						true,
					]);
					seen.set(status, (seen.get(status) ?? 0) + 1);
				}
		expect([...seen.values()].reduce((sum, each) => sum + each, 0)).toBe(paths.length * types.length * bodies.length);
	});

	it("a Host header with ever new ports buys no set-up of the library each, and sign-in goes on", async () => {
		await using hub = await TestHub.open(open);
		await hub.owner();
		const login = (port: number) =>
			new Promise<number | undefined>((resolve, reject) => {
				const body = JSON.stringify({ email: "ada@example.test", password: "wrong password" });
				const headers = { host: `localhost:${port}`, "content-type": "application/json", ...from(nextAddress()) };
				request(`${hub.origin}/auth/login`, { method: "POST", headers }, (response) => {
					response.resume();
					resolve(response.statusCode);
				})
					.on("error", reject)
					.end(body);
			});
		const statuses = [];
		for (let port = 1; port <= 40; port++) statuses.push(await login(port));
		expect(new Set(statuses)).toEqual(new Set([401]));
	});

	it("shuts the library's paths that would bypass devices, invitations or people themselves", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const bob = await hub.person(owner, "bob@example.test");
		const bobId = (await hub.call("GET", "/me", undefined, bearer(bob))).body.user.id;
		for (const [method, path, more] of [
			["GET", "/auth/list-sessions", {}],
			["POST", "/auth/revoke-other-sessions", {}],
			["POST", "/auth/admin/impersonate-user", {}],
			["POST", "/auth/admin/set-user-password", { newPassword: "what the administrator knows" }],
			["POST", "/auth/admin/update-user", { data: { twoFactorEnabled: false } }],
		] as const) {
			const body = method === "POST" ? { userId: bobId, ...more } : undefined;
			const answer = await hub.call(method, path, body, { ...bearer(owner), ...from(nextAddress()) });
			expect([path, answer.status]).toEqual([path, 404]);
		}
		const login = { email: "bob@example.test", password };
		expect((await hub.call("POST", "/auth/login", login, from(nextAddress()))).status, "the password is Bob's").toBe(
			200,
		);
	});
}
