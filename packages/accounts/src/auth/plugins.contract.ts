import { createHmac } from "node:crypto";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { describe, expect, it } from "vitest";
import { bearer, type HubSource, nextAddress, password, TestHub } from "../hub.testing.ts";
import { maxApiKeys } from "./hashed-adapter.ts";
import { SoftAuthenticator } from "./soft-authenticator.testing.ts";

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code";

/** A browser's cookies, as a string. */
function cookiesOf(headers: Headers, before = ""): string {
	const jar = new Map(
		before
			.split("; ")
			.filter((each) => each !== "")
			.map((each) => each.split(/=(.*)/s).slice(0, 2) as [string, string]),
	);
	for (const each of headers.getSetCookie()) {
		const [name = "", value = ""] = (each.split(";")[0] as string).split(/=(.*)/s);
		if (/max-age=0/i.test(each)) jar.delete(name);
		else jar.set(name, value);
	}
	return [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
}

/** The code of an authenticator app (RFC 6238) for an otpauth: URI. */
function totp(uri: string): string {
	const secret = new URL(uri).searchParams.get("secret") ?? "";
	const bits = [...secret].map((each) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(each).toString(2).padStart(5, "0"));
	const key = Buffer.from((bits.join("").match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
	const counter = Buffer.alloc(8);
	counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
	const mac = createHmac("sha1", key).update(counter).digest();
	const offset = (mac.at(-1) as number) & 15;
	return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

const from = (address: string) => ({ "x-forwarded-for": address });

/** The library's plugins, each end to end. */
export function pluginsSuite(open: HubSource): void {
	describe("the device flow of the command line (RFC 8628)", () => {
		const start = (hub: TestHub, more: Record<string, string> = {}) =>
			hub.call(
				"POST",
				"/auth/device/code",
				new URLSearchParams({ client_id: "warren-cli", ...more }),
				from(nextAddress()),
			);
		const approve = async (hub: TestHub, token: string, userCode: string) => {
			await hub.call("GET", `/auth/device?user_code=${userCode}`, undefined, {
				...bearer(token),
				...from(nextAddress()),
			});
			return hub.call("POST", "/auth/device/approve", { userCode }, bearer(token));
		};

		it("takes forms, gives links with the code in the fragment, and makes a named session", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const { body: code } = await start(hub);
			expect(code.verification_uri_complete).toBe(`${hub.origin}/#device=${code.user_code}`);
			expect(JSON.stringify(code)).not.toContain("?");
			expect((await approve(hub, owner, code.user_code)).status).toBe(200);
			const grant = { grant_type: deviceGrant, device_code: code.device_code, client_id: "warren-cli" };
			const form = await hub.call("POST", "/auth/device/token", new URLSearchParams(grant), {
				"x-warren-device": "warren%20login%20on%20burrow",
			});
			expect([form.status, form.body.token_type]).toEqual([200, "Bearer"]);
			const devices = await hub.call("GET", "/me/devices", undefined, bearer(form.body.access_token));
			expect(devices.body.devices.find((each: any) => each.current).name).toBe("warren login on burrow");
			const again = await hub.call("POST", "/auth/device/token", grant, from(nextAddress()));
			expect([again.status, again.body.error]).toEqual([400, "invalid_grant"]);
		});

		it("takes JSON as well, says pending and slow down, and refuses a repeated parameter", async () => {
			await using hub = await TestHub.open(open);
			await hub.owner();
			const { body: code } = await start(hub);
			const grant = { grant_type: deviceGrant, device_code: code.device_code, client_id: "warren-cli" };
			const errors = [];
			for (let i = 0; i < 2; i++) errors.push((await hub.call("POST", "/auth/device/token", grant)).body.error);
			expect(errors).toEqual(["authorization_pending", "slow_down"]);
			const twice = new URLSearchParams(grant);
			twice.append("device_code", "other");
			expect((await hub.call("POST", "/auth/device/token", twice)).status).toBe(400);
		});

		it("ignores a user_id that the client sends, as form and as JSON", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			const bobId = (await hub.call("GET", "/me", undefined, bearer(bob))).body.user.id;
			const form = await start(hub, { user_id: bobId });
			const json = await hub.call(
				"POST",
				"/auth/device/code",
				{ client_id: "warren-cli", user_id: bobId },
				from(nextAddress()),
			);
			for (const { body } of [form, json]) expect((await approve(hub, owner, body.user_code)).status).toBe(200);
		});

		it("keeps device codes hashed", async () => {
			await using hub = await TestHub.open(open);
			const { body } = await start(hub);
			const rows = JSON.stringify(
				await hub.tables.db
					.selectFrom("auth_device_code" as never)
					.selectAll()
					.execute(),
			);
			expect(rows).toContain(body.user_code);
			expect(rows).not.toContain(body.device_code);
		});

		it("is denied by whoever looks at it", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const { body: code } = await start(hub);
			await hub.call("GET", `/auth/device?user_code=${code.user_code}`, undefined, bearer(owner));
			expect((await hub.call("POST", "/auth/device/deny", { userCode: code.user_code }, bearer(owner))).status).toBe(
				200,
			);
			const grant = { grant_type: deviceGrant, device_code: code.device_code, client_id: "warren-cli" };
			expect((await hub.call("POST", "/auth/device/token", grant)).body.error).toBe("access_denied");
		});
	});

	it("two-factor: switched on with a code, asked for at the next sign-in", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const enabled = await hub.call("POST", "/auth/two-factor/enable", { password }, bearer(owner));
		expect(enabled.body.backupCodes.length).toBeGreaterThan(5);
		const verified = await hub.call(
			"POST",
			"/auth/two-factor/verify-totp",
			{ code: totp(enabled.body.totpURI) },
			bearer(owner),
		);
		expect(verified.status).toBe(200);
		const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
		expect(login.body).toMatchObject({ twoFactorRedirect: true });
		expect(login.body.token).toBeUndefined();
		const cookie = cookiesOf(login.headers);
		const wrong = await hub.call(
			"POST",
			"/auth/two-factor/verify-totp",
			{ code: "000000" },
			{ cookie, origin: hub.origin },
		);
		expect(wrong.status).toBe(401);
		const right = await hub.call(
			"POST",
			"/auth/two-factor/verify-totp",
			{ code: totp(enabled.body.totpURI) },
			{ cookie, origin: hub.origin },
		);
		expect(right.status).toBe(200);
		expect((await hub.call("GET", "/me", undefined, bearer(right.body.token))).body.user.twoFactor).toBe(true);
		const rows = JSON.stringify(
			await hub.tables.db
				.selectFrom("auth_two_factor" as never)
				.selectAll()
				.execute(),
		);
		expect(rows).not.toContain(enabled.body.backupCodes[0]);

		// Switched off, the session is another: the one before is over, and whoever asked has the new one.
		const off = await hub.call("POST", "/auth/two-factor/disable", { password }, bearer(right.body.token));
		expect(off.status).toBe(200);
		expect((await hub.call("GET", "/me", undefined, bearer(right.body.token))).status).toBe(401);
		const given = decodeURIComponent(off.headers.get("set-auth-token") ?? "").split(".")[0] as string;
		expect((await hub.call("GET", "/me", undefined, bearer(given))).body.user.twoFactor).toBe(false);
	});

	it("API keys: a person has as many as are listed, another's count is their own, and one that is deleted makes room", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const bob = await hub.person(owner, "bob@example.test");
		const make = (token: string) =>
			hub.call("POST", "/auth/api-key/create", { name: "ci" }, { ...bearer(token), "x-forwarded-for": nextAddress() });
		const ids: string[] = [];
		for (let each = 0; each < maxApiKeys; each++) ids.push((await make(owner)).body.id);
		const refused = await make(owner);
		expect([refused.status, refused.body]).toMatchObject([
			409,
			{
				error: "too_many",
				message: `You have ${maxApiKeys} API keys already.`,
				fix: expect.stringContaining("Delete"),
			},
		]);
		const listed = (await hub.call("GET", "/auth/api-key/list", undefined, bearer(owner))).body.apiKeys;
		expect(listed.map((each: any) => each.id).sort()).toEqual(ids.sort());
		expect((await make(bob)).status).toBe(200);
		await hub.call("POST", "/auth/api-key/delete", { keyId: ids[0] }, bearer(owner));
		expect((await make(owner)).status).toBe(200);
	});

	it("API keys: stand for their person, are kept hashed, and die at once with their sockets", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const made = await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(owner));
		expect(made.body.key).toMatch(/^wk_/);
		expect(
			JSON.stringify(
				await hub.tables.db
					.selectFrom("auth_api_key" as never)
					.selectAll()
					.execute(),
			),
		).not.toContain(made.body.key);
		expect((await hub.call("GET", "/me", undefined, bearer(made.body.key))).body.user.name).toBe("Ada");
		const socket = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
			headers: bearer(made.body.key),
		});
		if (!socket.ok) throw new Error(socket.message);
		const closed = new Promise<number>((resolve) => socket.connection.onClose(resolve));
		expect((await hub.call("POST", "/auth/api-key/delete", { keyId: made.body.id }, bearer(owner))).status).toBe(200);
		expect(await closed).toBe(4401);
		expect((await hub.call("GET", "/me", undefined, bearer(made.body.key))).status).toBe(401);
	});

	it("passkeys: registered by a signed-in person, then sign in by themselves", async () => {
		await using hub = await TestHub.open(open);
		await hub.owner();
		const login = await hub.call("POST", "/auth/login", { email: "ada@example.test", password }, from(nextAddress()));
		let cookie = cookiesOf(login.headers);
		const authenticator = new SoftAuthenticator();
		const asked = await hub.call("GET", "/auth/passkey/generate-register-options", undefined, { cookie });
		expect(asked.body.rp).toEqual({ name: "Warren", id: "localhost" });
		cookie = cookiesOf(asked.headers, cookie);
		const registered = await hub.call(
			"POST",
			"/auth/passkey/verify-registration",
			{ response: authenticator.create(asked.body, hub.origin), name: "Ada's laptop" },
			{ cookie, origin: hub.origin },
		);
		expect([registered.status, registered.body.name]).toEqual([200, "Ada's laptop"]);

		const challenge = await hub.call("GET", "/auth/passkey/generate-authenticate-options");
		const phone = { cookie: cookiesOf(challenge.headers), origin: hub.origin, "x-warren-device": "Phone" };
		const response = authenticator.get({ ...challenge.body, rpId: "localhost" }, hub.origin);
		const stranger = await hub.call(
			"POST",
			"/auth/passkey/verify-authentication",
			{ response: new SoftAuthenticator().get({ ...challenge.body, rpId: "localhost" }, hub.origin) },
			phone,
		);
		expect(stranger.status).toBeGreaterThanOrEqual(400);
		const second = await hub.call("GET", "/auth/passkey/generate-authenticate-options");
		const signedIn = await hub.call(
			"POST",
			"/auth/passkey/verify-authentication",
			{ response: authenticator.get({ ...second.body, rpId: "localhost" }, hub.origin) },
			{ ...phone, cookie: cookiesOf(second.headers) },
		);
		expect(signedIn.status).toBe(200);
		const session = { cookie: cookiesOf(signedIn.headers) };
		const me = await hub.call("GET", "/me/devices", undefined, session);
		expect(me.body.devices.find((each: any) => each.current).name).toBe("Phone");
		const replayed = await hub.call("POST", "/auth/passkey/verify-authentication", { response }, phone);
		expect(replayed.status).toBeGreaterThanOrEqual(400);
	});

	it("administration: lists people, bans one with all that is open; nobody touches the owner or makes a second", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const admin = await hub.person(owner, "bob@example.test", "admin");
		const carol = await hub.person(owner, "carol@example.test");
		const id = async (token: string) => (await hub.call("GET", "/me", undefined, bearer(token))).body.user.id as string;
		const [ownerId, carolId] = [await id(owner), await id(carol)];
		const list = await hub.call("GET", "/auth/admin/list-users", undefined, bearer(admin));
		expect(list.body.users.map((each: any) => each.email).sort()).toEqual([
			"ada@example.test",
			"bob@example.test",
			"carol@example.test",
		]);
		expect((await hub.call("GET", "/auth/admin/list-users", undefined, bearer(carol))).status).toBe(403);
		for (const [path, body] of [
			["ban-user", { userId: ownerId }],
			["remove-user", { userId: ownerId }],
			["set-role", { userId: carolId, role: "owner" }],
			["create-user", { email: "x@example.test", password, name: "X", role: "owner" }],
		] as const) {
			const refused = await hub.call("POST", `/auth/admin/${path}`, body, bearer(admin));
			expect([path, refused.status]).toEqual([path, 403]);
		}
		const key = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(carol))).body.key;
		expect((await hub.call("GET", "/me", undefined, bearer(key))).status).toBe(200);
		expect((await hub.call("POST", "/auth/admin/ban-user", { userId: carolId }, bearer(admin))).status).toBe(200);
		for (const token of [carol, key]) expect((await hub.call("GET", "/me", undefined, bearer(token))).status).toBe(401);
		const back = await hub.call("POST", "/auth/login", { email: "carol@example.test", password }, from(nextAddress()));
		expect(back.status).toBe(403);
	});

	it("an administrator who is one no longer comes back by no invitation of theirs", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		let people = 0;
		const signUp = (invitation: string) =>
			hub.call(
				"POST",
				"/auth/signup",
				{ name: "Again", email: `again${++people}@example.test`, password, invitation },
				from(nextAddress()),
			);
		for (const [path, more] of [
			["set-role", { role: "user" }],
			["ban-user", {}],
			["remove-user", {}],
		] as const) {
			const admin = await hub.person(owner, `${path}@example.test`, "admin");
			const userId = (await hub.call("GET", "/me", undefined, bearer(admin))).body.user.id;
			const { code } = (await hub.call("POST", "/me/invitations", { role: "admin" }, bearer(admin))).body;
			const other = (await hub.call("POST", "/me/invitations", { role: "admin" }, bearer(admin))).body;
			expect((await signUp(other.code)).status).toBe(200);
			expect((await hub.call("POST", `/auth/admin/${path}`, { userId, ...more }, bearer(owner))).status).toBe(200);
			const refused = await signUp(code);
			expect([path, refused.status, refused.body.error]).toEqual([path, 403, "bad_invitation"]);
			const list = await hub.call("GET", "/me/invitations", undefined, bearer(owner));
			expect(list.body.invitations).toEqual([]);
		}
	});

	it("a person whom an administrator removes is out at once: sessions, API keys, and what is open by either", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const bob = await hub.person(owner, "bob@example.test");
		const userId = (await hub.call("GET", "/me", undefined, bearer(bob))).body.user.id;
		const key = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(bob))).body.key;
		const watching = [bob, key].map(async (token) => {
			const socket = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
				headers: bearer(token),
			});
			if (!socket.ok) throw new Error(socket.message);
			return { closed: new Promise<number>((resolve) => socket.connection.onClose(resolve)) };
		});
		const sockets = await Promise.all(watching);
		expect((await hub.call("POST", "/auth/admin/remove-user", { userId }, bearer(owner))).status).toBe(200);
		for (const { closed } of sockets) expect(await closed).toBe(4401);
		for (const token of [bob, key])
			expect((await hub.call("GET", "/me/people", undefined, bearer(token))).status).toBe(401);
		const keys = await hub.tables.db
			.selectFrom("auth_api_key" as never)
			.selectAll()
			.execute();
		expect(keys).toEqual([]);
	});
}
