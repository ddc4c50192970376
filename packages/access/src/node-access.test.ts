import {
	type Audit,
	type AuditEvent,
	closeCodes,
	type DeviceId,
	silentLogger,
	systemClock,
	systemRandom,
	type Verdict,
} from "@warren/kernel";
import { dialWebSocket, HostTable, Listener, type Route } from "@warren/net";
import { openSqliteTables, type Tables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { deviceLimits } from "./devices.ts";
import { NodeAccess } from "./node-access.ts";
import { ownerLimits } from "./owner.ts";
import { hashPin, verifyPin } from "./pin-hash.ts";
import { accessRoutes, memberCredentials } from "./routes.ts";
import { type AccessTables, accessSchema } from "./schema.ts";
import { setupLimits } from "./setup-link.ts";
import { wsTicketLimits } from "./ws-tickets.ts";

let clock: VirtualClock;
let tables: Tables<AccessTables>;
let access: NodeAccess;
let events: AuditEvent[];
const first = { user: "ada", pin: "lovelace-1815", replace: false };
const audit: Audit = { record: (event) => void events.push(event), list: async () => [] };
const reopen = (options = first) => NodeAccess.open({ db: tables.db, clock, random: systemRandom, audit }, options);

// Made once: a hash costs a good part of a second where three people share two cores.
const firstHash = hashPin(first.pin, systemRandom);
beforeEach(async () => {
	clock = new VirtualClock();
	events = [];
	tables = await openSqliteTables<AccessTables>(":memory:", [accessSchema]);
	const row = { id: 1, user_name: first.user, pin_hash: await firstHash, changed_at: 0 };
	await tables.db.insertInto("access_owner").values(row).execute();
	access = await reopen();
});
afterEach(() => tables.close());

const context = (path = "/x", remoteAddress = "192.0.2.1") => ({ accepts: memberCredentials, remoteAddress, path });
const basic = (pin: string, remoteAddress = "192.0.2.1", user = "ada") =>
	access.authenticate({ scheme: "basic", user, password: pin }, context("/x", remoteAddress)) as Promise<Verdict>;
const bearer = (token: string) =>
	access.authenticate({ scheme: "bearer", token, from: "header" }, context()) as Promise<Verdict>;
const outcome = (verdict: Verdict) => (verdict.ok ? "ok" : verdict.reason);

describe("user and PIN", () => {
	it("are kept as scrypt, and the verdict is remembered for a minute", async () => {
		const row = await tables.db.selectFrom("access_owner").selectAll().executeTakeFirstOrThrow();
		expect(row.pin_hash).toMatch(/^scrypt\$32768\$8\$1\$[\w-]{22}\$[\w-]{43}$/);
		/** Microseconds of the processors, all threads together: a busy machine changes nothing in it. */
		const spent = async (times: number) => {
			const before = process.cpuUsage();
			for (let each = 0; each < times; each++) expect(outcome(await basic(first.pin))).toBe("ok");
			const { user, system } = process.cpuUsage(before);
			return user + system;
		};
		const once = await spent(1);
		expect(await spent(200)).toBeLessThan(once * 50);
	});

	it("are limited per address: a burst, then one try each ten seconds, whoever it says it is", async () => {
		for (let tries = 0; tries < ownerLimits.perAddress.burst; tries++)
			expect(outcome(await basic(`wrong-${tries}`, "192.0.2.1", tries % 2 === 0 ? "ada" : "eve"))).toBe("invalid");
		const limited = await basic("wrong");
		expect(limited).toMatchObject({ ok: false, reason: "limited", retryAfterMs: 10_000 });
		expect(outcome(await basic(first.pin)), "even the right one").toBe("limited");
		expect(outcome(await basic(first.pin, "192.0.2.2")), "from elsewhere").toBe("ok");
		await clock.advance(10_000);
		expect(outcome(await basic("wrong"))).toBe("invalid");
		expect(outcome(await basic("wrong"))).toBe("limited");
	});

	it("that are remembered are remembered for whoever brought them: nobody over the limit finds them by guessing on", async () => {
		expect(outcome(await basic(first.pin, "192.0.2.1"))).toBe("ok");
		const guesser = "192.0.2.66";
		for (let tries = 0; tries < ownerLimits.perAddress.burst; tries++)
			expect(outcome(await basic(`wrong-${tries}`, guesser))).toBe("invalid");
		expect(outcome(await basic(first.pin, guesser)), "another address").toBe("limited");
		expect(outcome(await basic(first.pin, "192.0.2.1")), "the owner").toBe("ok");
		for (let tries = 0; tries < ownerLimits.perAddress.burst; tries++) await basic(`wrong-${tries}`, "192.0.2.1");
		expect(outcome(await basic(first.pin, "192.0.2.1")), "the same address").toBe("limited");
	});

	it("cannot be guessed in parallel", async () => {
		const verdicts = await Promise.all(Array.from({ length: 20 }, (_, index) => basic(`guess-${index}`)));
		expect(verdicts.filter((verdict) => outcome(verdict) === "invalid").length).toBe(ownerLimits.perAddress.burst);
	});

	it("that are right do not run into the limit when many requests bring them at once", async () => {
		const verdicts = await Promise.all(Array.from({ length: 50 }, () => basic(first.pin)));
		expect(new Set(verdicts.map(outcome))).toEqual(new Set(["ok"]));
	});

	it("are limited in all, and one address that is over its own limit does not use that up", async () => {
		for (let tries = 0; tries < 500; tries++) await basic("wrong", "198.51.100.1");
		expect(outcome(await basic(first.pin, "192.0.2.9"))).toBe("ok");
		let limited = 0;
		for (let tries = 0; tries < ownerLimits.inAll.burst; tries++)
			if (outcome(await basic("wrong", `203.0.113.${tries}`)) === "limited") limited += 1;
		expect(limited).toBe(ownerLimits.perAddress.burst + 1);
	});

	it("are limited for one machine that has a whole network of addresses as for one that has a single one", async () => {
		for (let tries = 0; tries < ownerLimits.inAll.burst; tries++) await basic("wrong", `2001:db8:1:2::${tries}`);
		expect(events.length).toBe(ownerLimits.perAddress.burst);
		expect(outcome(await basic(first.pin, "192.0.2.9")), "nor is it used up for others").toBe("ok");
	});

	it("cost the same time for a user who does not exist", async () => {
		/** Of the processors, all threads together: a busy machine changes little in it. */
		const costOf = async (user: string) => {
			const costs: number[] = [];
			for (let tries = 0; tries < 3; tries++) {
				const before = process.cpuUsage();
				await basic("wrong-pin", `10.0.${user.length}.${tries}`, user);
				const spent = process.cpuUsage(before);
				costs.push(spent.user + spent.system);
			}
			return Math.min(...costs);
		};
		const [known, unknown] = [await costOf("ada"), await costOf("nobody")];
		expect(unknown / known, "no shorter way").toBeGreaterThan(0.4);
		expect(await basic("wrong", "10.1.0.1", "ada")).toEqual(await basic("wrong", "10.1.0.2", "nobody"));
	});

	it("are dead at once when they change, remembered verdict or not", async () => {
		expect(outcome(await basic(first.pin))).toBe("ok");
		await access.owner.change("grace", "hopper-1906");
		expect(outcome(await basic(first.pin))).toBe("invalid");
		expect(outcome(await basic("hopper-1906", "192.0.2.1", "grace"))).toBe("ok");
	});

	it.each([
		["", "long-enough", "bad_user"],
		["a b", "long-enough", "bad_user"],
		["a:b", "long-enough", "bad_user"],
		["x".repeat(65), "long-enough", "bad_user"],
		["ada", "12345", "bad_pin"],
		["lovelace", "LoveLace", "bad_pin"],
		["ada", "x".repeat(129), "bad_pin"],
	])("%j with %j is %s, and the PIN is not repeated", async (user, pin, code) => {
		await expect(access.owner.change(user, pin)).rejects.toMatchObject({ code });
		await access.owner.change(user, pin).catch((error: Error) => expect(error.message).not.toContain(pin));
	});

	it("from the environment replace those of before, and only when they differ", async () => {
		expect((await reopen({ ...first, replace: true })).created).toBe(false);
		expect((await reopen({ ...first, pin: "another-pin", replace: false })).created).toBe(false);
		access = await reopen({ ...first, pin: "another-pin", replace: true });
		expect(access.created).toBe(true);
		expect(outcome(await basic("another-pin"))).toBe("ok");
	});

	it("whose stored hash cannot be read let nobody in", async () => {
		for (const hash of ["", "scrypt", "scrypt$1$1$1$$", "plain$lovelace-1815"])
			expect(await verifyPin(first.pin, hash), hash).toBe(false);
	});

	it("that are refused are written down, without the PIN; those over the limit are not", async () => {
		for (let tries = 0; tries < 15; tries++) await basic(`wrong-${tries}`);
		expect(events.length).toBe(ownerLimits.perAddress.burst);
		expect(events[0]).toMatchObject({ action: "access.basic", outcome: "refused", address: "192.0.2.1" });
		expect(JSON.stringify(events)).not.toContain("wrong-");
	});
});

describe("devices", () => {
	it("are known by their token alone, which is not at rest, across a restart", async () => {
		const { device, token } = await access.devices.enrol("phone");
		expect(token).toMatch(/^wd_[\w-]{43}$/);
		expect(JSON.stringify(await tables.db.selectFrom("access_devices").selectAll().execute())).not.toContain(token);
		access = await reopen();
		expect(await bearer(token)).toMatchObject({ ok: true, kind: "device", identity: { deviceId: device.id } });
		expect(outcome(await bearer(`${token}x`))).toBe("invalid");
		expect(outcome(await bearer("wd_"))).toBe("invalid");
	});

	it("are dead when revoking resolves, also after a restart", async () => {
		const { device, token } = await access.devices.enrol("phone");
		await access.devices.revoke(device.id);
		expect(outcome(await bearer(token))).toBe("invalid");
		access = await reopen();
		expect(outcome(await bearer(token))).toBe("invalid");
		await expect(access.devices.revoke(device.id)).rejects.toMatchObject({ code: "unknown_device", status: 404 });
	});

	it("have a limit, and one more is refused", async () => {
		await Promise.all(Array.from({ length: deviceLimits.maxDevices }, (_, index) => access.devices.enrol(`d${index}`)));
		await expect(access.devices.enrol("one more")).rejects.toMatchObject({ code: "too_many_devices" });
		expect(access.devices.list().length).toBe(deviceLimits.maxDevices);
	});
});

describe("the setup link", () => {
	const setup = (secret: string, remoteAddress = "192.0.2.1") =>
		access.setup.verify(secret, remoteAddress).then(outcome);

	it("works once, for a day, and only the newest of them", async () => {
		const old = await access.setup.make();
		const secret = await access.setup.make();
		expect(await setup(old)).toBe("invalid");
		expect(await setup(secret)).toBe("ok");
		expect(await access.setup.spend(secret)).toBe(true);
		expect(await access.setup.spend(secret)).toBe(false);
		expect(await setup(secret)).toBe("invalid");
		const next = await access.setup.make();
		await clock.advance(setupLimits.lifetimeMs - 1);
		expect(await setup(next)).toBe("ok");
		await clock.advance(1);
		expect(await setup(next)).toBe("invalid");
	});

	it("cannot be guessed", async () => {
		await access.setup.make();
		for (let tries = 0; tries < setupLimits.perAddress.burst; tries++) expect(await setup(`x${tries}`)).toBe("invalid");
		expect(await setup("x")).toBe("limited");
	});

	it("is no credential where it is not asked for", async () => {
		const secret = await access.setup.make();
		expect(await access.authenticate({ scheme: "setup", secret }, context())).toBeNull();
	});
});

describe("WebSocket tickets", () => {
	const identity = { kind: "device", deviceId: "d1" as DeviceId, name: "d" } as const;
	const issue = (path: string, upstreamAuthorization: string | null = null) =>
		access.tickets.issue({ identity, kind: "device", path, upstreamAuthorization });
	const use = (ticket: string, path: string) =>
		access.authenticate({ scheme: "ws-ticket", ticket }, context(path)) as Promise<Verdict>;

	it("work once, for their own path", async () => {
		const ticket = issue("/r/bob/ws/main", "Bearer up");
		expect(await use(ticket, "/r/bob/ws/main")).toMatchObject({
			ok: true,
			identity,
			upstreamAuthorization: "Bearer up",
		});
		expect(outcome(await use(ticket, "/r/bob/ws/main"))).toBe("invalid");
		for (const path of ["/ws/mai", "/ws/main2", "/r/bob/ws/main", "/ws/main/"])
			expect(outcome(await use(issue("/ws/main"), path)), path).toBe("invalid");
	});

	it("die after 30 s, and with their device", async () => {
		const ticket = issue("/ws/a");
		await clock.advance(wsTicketLimits.lifetimeMs - 1);
		const other = issue("/ws/a");
		expect(outcome(await use(ticket, "/ws/a"))).toBe("ok");
		await clock.advance(wsTicketLimits.lifetimeMs);
		expect(outcome(await use(other, "/ws/a"))).toBe("invalid");
		const { device } = await access.devices.enrol("phone");
		const orphan = access.tickets.issue({
			identity: { kind: "device", deviceId: device.id, name: "phone" },
			kind: "device",
			path: "/ws/a",
			upstreamAuthorization: null,
		});
		await access.devices.revoke(device.id);
		expect(outcome(await use(orphan, "/ws/a"))).toBe("invalid");
	});
});

describe("over HTTP", () => {
	let listener: Listener;
	let origin: string;
	beforeEach(async () => {
		const socket: Route = {
			owner: "test",
			method: "WS",
			path: "/ws/:session",
			credentials: memberCredentials,
			open: (_context, upgrade) => void upgrade.accept(),
		};
		listener = await Listener.open(
			{ clock: systemClock, logger: silentLogger },
			{
				role: "test",
				host: "127.0.0.1",
				port: 0,
				tls: null,
				hosts: new HostTable([]),
				authenticator: access,
				routes: [...accessRoutes(access), socket],
			},
		);
		origin = `127.0.0.1:${listener.port}`;
		access.devices.onRevoked((id) =>
			listener.disconnect((who) => who.kind === "device" && who.deviceId === id, closeCodes.signIn, "signed out"),
		);
	});
	afterEach(() => listener.close());
	const call = (method: string, path: string, headers: Record<string, string>, body?: unknown) =>
		fetch(`http://${origin}${path}`, {
			method,
			headers: { "content-type": "application/json", ...headers },
			...(body === undefined ? {} : { body: JSON.stringify(body) }),
		});
	const owner = { authorization: `Basic ${Buffer.from(`ada:${first.pin}`).toString("base64")}` };

	it("of two who use the setup link at once, one becomes the owner", async () => {
		const secret = await access.setup.make();
		const answers = await Promise.all(
			["one", "two"].map((user) =>
				call("POST", "/api/setup", { "x-warren-setup": secret }, { user, pin: `${user}-secret`, deviceName: "phone" }),
			),
		);
		expect(answers.map(({ status }) => status).sort()).toEqual([201, 401]);
		const winner = answers[0]?.status === 201 ? "one" : "two";
		expect(access.owner.userName).toBe(winner);
		expect(access.devices.count).toBe(1);
	});

	it("a refused PIN or user does not cost the setup link", async () => {
		const secret = await access.setup.make();
		const setUp = (user: string, pin: string) =>
			call("POST", "/api/setup", { "x-warren-setup": secret }, { user, pin, deviceName: "phone" });
		expect((await setUp("ada", "123")).status).toBe(400);
		expect((await setUp("a b", "long-enough")).status).toBe(400);
		expect((await call("POST", "/api/setup", { "x-warren-setup": secret }, { user: "ada" })).status).toBe(400);
		expect((await setUp("ada", "long-enough")).status).toBe(201);
		expect((await setUp("ada", "long-enough")).status).toBe(401);
	});

	it("revoking a device closes its WebSocket within the call", async () => {
		const made = await call("POST", "/api/devices", owner, { name: "phone" });
		const { device, token } = (await made.json()) as { device: { id: string }; token: string };
		const dialled = await dialWebSocket(`ws://${origin}/ws/main`, systemClock, {
			protocols: ["warren.v1", `bearer.${token}`],
		});
		if (!dialled.ok) throw new Error("not connected");
		const closed = new Promise((resolve) => dialled.connection.onClose((code) => resolve(code)));
		expect((await call("DELETE", `/api/devices/${device.id}`, owner)).status).toBe(204);
		expect(await closed).toBe(closeCodes.signIn);
		expect((await call("GET", "/api/devices", { authorization: `Bearer ${token}` })).status).toBe(401);
	});

	it("a token makes no other token, and a ticket goes to WebSockets of this node only", async () => {
		const { token } = await access.devices.enrol("phone");
		const device = { authorization: `Bearer ${token}` };
		expect((await call("POST", "/api/devices", device, { name: "x" })).status).toBe(403);
		expect((await call("PUT", "/api/credentials", device, { user: "x", pin: "xxxxxxx" })).status).toBe(403);
		for (const path of ["/api/me", "ws/a", "//ws/a", "/r/b/api/ws/x", "/ws/a?x=1", "/ws/", "https://evil/ws/a"])
			expect((await call("POST", "/api/ws-tickets", device, { path })).status, path).toBe(400);
		const bad = { path: "/ws/a", upstreamAuthorization: "Bearer a\r\nX: y" };
		expect((await call("POST", "/api/ws-tickets", device, bad)).status).toBe(400);
		const good = await call("POST", "/api/ws-tickets", device, { path: "/ws/a" });
		expect(good.status).toBe(201);
		const { ticket } = (await good.json()) as { ticket: string };
		const dial = () =>
			dialWebSocket(`ws://${origin}/ws/a`, systemClock, { protocols: ["warren.v1", `ticket.${ticket}`] });
		const once = await dial();
		expect(once.ok && once.connection.protocol).toBe("warren.v1");
		const twice = await dial();
		if (!twice.ok) throw new Error("a refusal comes as a close code");
		const code = await new Promise((resolve) => twice.connection.onClose((each) => resolve(each)));
		expect(code).toBe(closeCodes.signIn);
	});

	it("a device is listed with who is asking, and named within limits", async () => {
		const { device, token } = await access.devices.enrol("phone");
		await access.devices.enrol("tablet");
		const listed = await call("GET", "/api/devices", { authorization: `Bearer ${token}` });
		const { devices } = (await listed.json()) as { devices: { id: string; current: boolean }[] };
		expect(devices.map(({ id, current }) => [id === device.id, current]).sort()).toEqual([
			[false, false],
			[true, true],
		]);
		expect((await call("POST", "/api/devices", owner, { name: " " })).status).toBe(400);
		expect((await call("POST", "/api/devices", owner, { name: "x".repeat(81) })).status).toBe(400);
		expect((await call("DELETE", "/api/devices/nobody", owner)).status).toBe(404);
	});
});
