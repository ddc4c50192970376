import { hashToken, silentLogger, systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { MemoryBus } from "@warren/store";
import { describe, expect, it } from "vitest";
import { bearer, type HubSource, isRemote, nextAddress, password, TestHub } from "./hub.testing.ts";

const from = (address: string) => ({ "x-forwarded-for": address });

async function login(hub: TestHub, email: string, device: string): Promise<string> {
	const done = await hub.call(
		"POST",
		"/auth/login",
		{ email, password },
		{ "x-warren-device": device, ...from(nextAddress()) },
	);
	return done.body.token;
}

/** A person's own things: account, devices, pairing. */
export function meSuite(open: HubSource): void {
	it("people see each other's names, for sharing, and no addresses; one who is banned is not shown", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const bob = await hub.person(owner, "bob@example.test");
		const bobId = (await hub.call("GET", "/me", undefined, bearer(bob))).body.user.id;
		const seen = await hub.call("GET", "/me/people", undefined, bearer(bob));
		expect(seen.body.people).toHaveLength(2);
		expect(seen.body.people.map((each: any) => Object.keys(each).sort())).toEqual([
			["id", "name"],
			["id", "name"],
		]);
		await hub.call("POST", "/auth/admin/ban-user", { userId: bobId }, bearer(owner));
		expect((await hub.call("GET", "/me/people", undefined, bearer(owner))).body.people).toHaveLength(1);
		expect((await hub.call("GET", "/me/people")).status).toBe(401);
	});

	it("names are one line of 120 characters, the last of them whole, however they come in", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const { code } = (await hub.call("POST", "/me/invitations", {}, bearer(owner))).body;
		// An emoji is two of UTF-16's units: a cut through one is no text any more.
		const long = `${"B".repeat(119)}🦊${"B".repeat(5000)}`;
		const signUp = { name: `\u202e${long}`, email: "bob@example.test", password, invitation: code };
		const { body: bob } = await hub.call("POST", "/auth/signup", signUp, from(nextAddress()));
		const nameOf = async () => (await hub.call("GET", "/me", undefined, bearer(bob.token))).body.user.name;
		expect(await nameOf()).toBe("B".repeat(119));
		expect((await hub.call("POST", "/auth/update-user", { name: `C\n${long}` }, bearer(bob.token))).status).toBe(200);
		expect(await nameOf()).toBe(`C ${"B".repeat(118)}`);
		const empty = await hub.call("POST", "/auth/update-user", { name: "\u200b" }, bearer(bob.token));
		expect([empty.status, empty.body.error]).toEqual([400, "bad_name"]);
		const renamed = await hub.call("PATCH", "/me", { name: "D".repeat(120) }, bearer(bob.token));
		expect(renamed.body.user.name).toBe("D".repeat(120));
	});

	describe("devices", () => {
		it("are sessions with names, renamed by their owner alone", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			const phone = await login(hub, "ada@example.test", "Phone%20%E2%80%8Bof%0AAda");
			const { body } = await hub.call("GET", "/me/devices", undefined, bearer(phone));
			expect(body.devices.map((each: any) => [each.name, each.current])).toEqual([
				["Phone of Ada", true],
				["Ada's laptop", false],
			]);
			const id = body.devices[1].id;
			const renamed = await hub.call("PATCH", `/me/devices/${id}`, { name: "Laptop" }, bearer(phone));
			expect(renamed.body).toMatchObject({ id, name: "Laptop", current: false });
			expect((await hub.call("PATCH", `/me/devices/${id}`, { name: " \n " }, bearer(phone))).status).toBe(400);
			for (const method of ["PATCH", "DELETE"]) {
				const other = await hub.call(
					method,
					`/me/devices/${id}`,
					method === "PATCH" ? { name: "Mine" } : undefined,
					bearer(bob),
				);
				expect([method, other.status, other.body.error]).toEqual([method, 404, "unknown_device"]);
			}
		});

		it("show where they signed in: an address, or an IPv6 network, in its short form", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const shown: string[] = [];
			for (const address of ["198.51.100.7", "2001:db8:1:2:3:4:5:6", "::1"]) {
				const body = { email: "ada@example.test", password };
				const { body: signed } = await hub.call("POST", "/auth/login", body, from(address));
				const { body: me } = await hub.call("GET", "/me", undefined, bearer(signed.token));
				const { body: devices } = await hub.call("GET", "/me/devices", undefined, bearer(owner));
				shown.push(devices.devices.find((each: any) => each.id === me.deviceId).address);
			}
			expect(shown).toEqual(["198.51.100.7", "2001:db8:1:2::/64", "::1"]);
		});

		it("makes no administrator by an API key, whose end that account would outlive", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const { key } = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(owner))).body;
			const admin = await hub.call("POST", "/me/invitations", { role: "admin" }, bearer(key));
			expect([admin.status, admin.body.error]).toEqual([403, "no_account"]);
			expect((await hub.call("GET", "/me/invitations", undefined, bearer(key))).body.invitations).toEqual([]);
			expect((await hub.call("POST", "/me/invitations", { role: "user" }, bearer(key))).status).toBe(201);
		});

		it("that are revoked lose session and sockets while others ask a few times, and the audit says so", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const phone = await login(hub, "ada@example.test", "Phone");
			const socket = await dialWebSocket(`ws://localhost:${hub.listener.port}/v1/machines/watch`, systemClock, {
				protocols: ["warren.v1", `bearer.${phone}`],
			});
			if (!socket.ok) throw new Error(socket.message);
			const closed = new Promise<number>((resolve) => socket.connection.onClose(resolve));
			const { body } = await hub.call("GET", "/me", undefined, bearer(phone));
			let isClosed = false;
			void closed.then(() => {
				isClosed = true;
			});
			expect((await hub.call("DELETE", `/me/devices/${body.deviceId}`, undefined, bearer(owner))).status).toBe(204);
			// By the revocation itself, and not by who looks again once in a while.
			for (let asked = 0; asked < 50 && !isClosed; asked++) await hub.call("GET", "/me", undefined, bearer(owner));
			expect(isClosed).toBe(true);
			expect(await closed).toBe(4401);
			expect((await hub.call("GET", "/auth/session", undefined, bearer(phone))).status).toBe(401);
			expect((await hub.call("GET", "/me", undefined, bearer(owner))).status).toBe(200);
			const audit = await hub.tables.db.selectFrom("audit_records").selectAll().execute();
			expect(audit.map((each) => [each.action, each.target])).toContainEqual(["account.device.revoke", body.deviceId]);
		});
	});

	it("sessions that ran out are refused, and swept up at the next start", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const rows = () =>
			hub.tables.db
				.selectFrom("auth_session" as never)
				.selectAll()
				.execute();
		await hub.tables.db
			.updateTable("auth_session" as never)
			.set({ expiresAt: new Date(Date.now() - 1000).toISOString() } as never)
			.execute();
		await using again = await TestHub.open(hub.tables);
		expect(await rows()).toEqual([]);
		expect((await again.call("GET", "/me", undefined, bearer(owner))).status).toBe(401);
	});

	it("a device that is signed out leaves no sign-in behind that it had let in and nobody has used", async () => {
		await using hub = await TestHub.open(open);
		const owner = await hub.owner();
		const phone = await login(hub, "ada@example.test", "Phone");
		const client = { client_id: "warren-cli" };
		const begun = (await hub.call("POST", "/auth/device/code", client, from(nextAddress()))).body;
		await hub.call("GET", `/auth/device?user_code=${begun.user_code}`, undefined, bearer(phone));
		const approved = await hub.call("POST", "/auth/device/approve", { userCode: begun.user_code }, bearer(phone));
		expect(approved.status).toBe(200);
		const { code } = (await hub.call("POST", "/me/pairings", undefined, bearer(phone))).body;
		// As if the new device had come, been let in, and left before it heard so.
		await hub.tables.db
			.updateTable("accounts_pairings")
			.set({ state: "confirmed", device_name: "Mine", address: "198.51.100.9" })
			.execute();

		const phoneId = (await hub.call("GET", "/me", undefined, bearer(phone))).body.deviceId;
		expect((await hub.call("DELETE", `/me/devices/${phoneId}`, undefined, bearer(owner))).status).toBe(204);
		const grant = {
			...client,
			grant_type: "urn:ietf:params:oauth:grant-type:device_code",
			device_code: begun.device_code,
		};
		expect((await hub.call("POST", "/auth/device/token", grant)).body.error).toBe("invalid_grant");
		const paired = await hub.call("POST", "/auth/pair", { code, deviceName: "Mine" }, from("198.51.100.9"));
		expect([paired.status, paired.body.error]).toEqual([400, "bad_code"]);
	});

	it("a revocation at one of several hubs reaches the sockets of the others", async (context) => {
		context.skip(isRemote(open), "all its requests meet in one object: there are no others");
		const bus = new MemoryBus(silentLogger);
		await using here = await TestHub.open(open, { deps: { bus } });
		const owner = await here.owner();
		await using there = await TestHub.open(here.tables, { deps: { bus } });
		const socket = await dialWebSocket(`ws://localhost:${there.listener.port}/v1/machines/watch`, systemClock, {
			headers: bearer(owner),
		});
		if (!socket.ok) throw new Error(socket.message);
		const closed = new Promise<number>((resolve) => socket.connection.onClose(resolve));
		expect((await here.call("POST", "/auth/sign-out", {}, bearer(owner))).status).toBe(200);
		expect(await closed).toBe(4401);
		expect((await there.call("GET", "/me", undefined, bearer(owner))).status).toBe(401);
	});

	it("a role that is taken at one of several hubs is gone at the others, and their sockets stay", async (context) => {
		context.skip(isRemote(open), "all its requests meet in one object: there are no others");
		const bus = new MemoryBus(silentLogger);
		await using here = await TestHub.open(open, { deps: { bus } });
		const owner = await here.owner();
		const bob = await here.person(owner, "bob@example.test", "admin");
		await using there = await TestHub.open(here.tables, { deps: { bus } });
		const socket = await dialWebSocket(`ws://localhost:${there.listener.port}/v1/machines/watch`, systemClock, {
			headers: bearer(bob),
		});
		expect((await there.call("GET", "/me/invitations", undefined, bearer(bob))).status).toBe(200);
		const userId = (await here.call("GET", "/me", undefined, bearer(bob))).body.user.id;
		const taken = await here.call("POST", "/auth/admin/set-role", { userId, role: "user" }, bearer(owner));
		expect(taken.status).toBe(200);
		for (const hub of [here, there])
			expect((await hub.call("POST", "/me/invitations", { role: "admin" }, bearer(bob))).status).toBe(403);
		expect(socket.ok && there.listener.webSocketCount).toBe(1);
	});

	describe("an account", () => {
		it("is renamed, and removed with everything that it had; the owner stays while others are here", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			expect((await hub.call("PATCH", "/me", { name: "Robert" }, bearer(bob))).body.user.name).toBe("Robert");
			expect((await hub.call("GET", "/auth/session", undefined, bearer(bob))).body.user.name).toBe("Robert");
			const refused = await hub.call("DELETE", "/me", undefined, bearer(owner));
			expect([refused.status, refused.body.error]).toEqual([409, "owner_stays"]);
			const key = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(bob))).body.key;
			expect((await hub.call("DELETE", "/me", undefined, bearer(bob))).status).toBe(204);
			for (const token of [bob, key]) expect((await hub.call("GET", "/me", undefined, bearer(token))).status).toBe(401);
			expect((await hub.call("DELETE", "/me", undefined, bearer(owner))).status).toBe(204);
			expect(await hub.accounts.hasOwner()).toBe(false);
		});
	});

	describe("pairing by code", () => {
		const pair = (hub: TestHub, code: string, more: object = {}, address = "198.51.100.7") =>
			hub.call("POST", "/auth/pair", { code, deviceName: "Phone", ...more }, from(address));

		it("gives the new device a session of its own, once the issuer has seen its name and address", async () => {
			await using hub = await TestHub.open(open, { deps: { fingerprint: () => "ab:cd" } });
			const owner = await hub.owner();
			const { body: made } = await hub.call("POST", "/me/pairings", undefined, bearer(owner));
			expect(made.url).toBe(`http://localhost/#pair=${made.code}${isRemote(open) ? "" : "&fingerprint=abcd"}`);
			expect(made.fingerprint).toBe(isRemote(open) ? null : "ab:cd");
			const watching = hub.call("GET", `/me/pairings/${made.id}?wait=waiting`, undefined, bearer(owner));
			const pairing = pair(hub, made.code);
			expect((await watching).body).toMatchObject({ state: "claimed", deviceName: "Phone", address: "198.51.100.7" });
			expect((await hub.call("POST", `/me/pairings/${made.id}/confirm`, {}, bearer(owner))).status).toBe(200);
			const paired = await pairing;
			expect(paired.status).toBe(201);
			expect(paired.body.token).not.toBe(owner);
			const { body } = await hub.call("GET", "/me/devices", undefined, bearer(paired.body.token));
			expect(body.devices.map((each: any) => [each.name, each.address])).toContainEqual(["Phone", "198.51.100.7"]);
			// A session of its own: the issuer's end does not end it.
			const issuer = (await hub.call("GET", "/me", undefined, bearer(owner))).body.deviceId;
			await hub.call("DELETE", `/me/devices/${issuer}`, undefined, bearer(paired.body.token));
			expect((await hub.call("GET", "/me", undefined, bearer(paired.body.token))).status).toBe(200);
		});

		it("is refused by the issuer, single use, and kept hashed", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const { body: made } = await hub.call("POST", "/me/pairings", undefined, bearer(owner));
			const rows = JSON.stringify(await hub.tables.db.selectFrom("accounts_pairings").selectAll().execute());
			expect(rows).toContain(hashToken(made.code));
			expect(rows).not.toContain(made.code);
			const early = await hub.call("POST", `/me/pairings/${made.id}/confirm`, {}, bearer(owner));
			expect([early.status, early.body.error]).toEqual([409, "pairing_waiting"]);
			const watching = hub.call("GET", `/me/pairings/${made.id}?wait=waiting`, undefined, bearer(owner));
			const pairing = pair(hub, made.code);
			await watching;
			const shoulder = await pair(hub, made.code, { deviceName: "Eve" }, "198.51.100.8");
			expect([shoulder.status, shoulder.body.error]).toEqual([400, "bad_code"]);
			await hub.call("POST", `/me/pairings/${made.id}/confirm`, { allow: false }, bearer(owner));
			expect((await pairing).body.error).toBe("pairing_denied");
			expect((await hub.call("GET", "/me/devices", undefined, bearer(owner))).body.devices).toHaveLength(1);
		});

		it("is not made or allowed by an API key, whose end a session of its own would outlive", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const { key } = (await hub.call("POST", "/auth/api-key/create", { name: "ci" }, bearer(owner))).body;
			const byKey = await hub.call("POST", "/me/pairings", undefined, bearer(key));
			expect([byKey.status, byKey.body.error]).toEqual([403, "no_account"]);
			const { body: made } = await hub.call("POST", "/me/pairings", undefined, bearer(owner));
			const watching = hub.call("GET", `/me/pairings/${made.id}?wait=waiting`, undefined, bearer(owner));
			const pairing = pair(hub, made.code);
			await watching;
			const allowed = await hub.call("POST", `/me/pairings/${made.id}/confirm`, {}, bearer(key));
			expect([allowed.status, allowed.body.error]).toEqual([403, "no_account"]);
			await hub.call("POST", `/me/pairings/${made.id}/confirm`, { allow: false }, bearer(owner));
			expect((await pairing).body.error).toBe("pairing_denied");
		});

		it("that is no code says what it lacks and what to do, and counts as no guess", async () => {
			await using hub = await TestHub.open(open);
			for (let each = 0; each < 50; each++)
				for (const code of ["", "x".repeat(42), `${"x".repeat(42)}/`]) {
					const { status, body } = await pair(hub, code);
					expect([status, body.error], code).toEqual([400, "bad_code"]);
					expect(body.message).toContain(`it has ${code.length} characters, and one has 43`);
					expect(body.fix).toContain("copy its whole link");
				}
		});

		it("is nobody else's to confirm, and guessing codes is limited per address", async () => {
			await using hub = await TestHub.open(open);
			const owner = await hub.owner();
			const bob = await hub.person(owner, "bob@example.test");
			const { body: made } = await hub.call("POST", "/me/pairings", undefined, bearer(owner));
			expect((await hub.call("POST", `/me/pairings/${made.id}/confirm`, {}, bearer(bob))).status).toBe(404);
			const statuses = [];
			for (let i = 0; i < 11; i++) statuses.push((await pair(hub, "x".repeat(43), {}, "198.51.100.9")).status);
			expect(statuses).toEqual([...Array(10).fill(400), 429]);
		});
	});
}
