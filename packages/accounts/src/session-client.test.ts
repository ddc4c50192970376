import { openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { type AskHub, SessionClient, sessionClientLimits } from "./session-client.ts";
import { SessionMemory, type SessionMemoryTables, sessionMemorySchema } from "./session-memory.ts";

const token = "a".repeat(32);
const minute = 60_000;

let clock: VirtualClock;
let asked: number;
let hub: Awaited<ReturnType<AskHub>>;
let client: SessionClient;

const valid = (lifeMs: number): Awaited<ReturnType<AskHub>> => ({
	kind: "valid",
	answer: { user: { id: "u1", name: "Ada", admin: false }, session: { id: "s1", expiresAt: clock.now() + lifeMs } },
});
const check = async (bearer = token, remoteAddress = "127.0.0.1") => {
	const verdict = await client.authenticate(
		{ scheme: "bearer", token: bearer, from: "header" },
		{ accepts: ["session"], remoteAddress, path: "/" },
	);
	return verdict?.ok ? "ok" : (verdict?.reason ?? null);
};

beforeEach(() => {
	clock = new VirtualClock();
	asked = 0;
	hub = valid(24 * 60 * minute);
	client = new SessionClient(async () => {
		asked += 1;
		return hub;
	}, clock);
});

describe("a session checked away from its hub", () => {
	it("is asked about once in five minutes", async () => {
		for (let i = 0; i < 10; i++) expect(await check()).toBe("ok");
		expect(asked).toBe(1);
		await clock.advance(5 * minute - 1);
		expect([await check(), asked]).toEqual(["ok", 1]);
		await clock.advance(1);
		expect([await check(), asked]).toEqual(["ok", 2]);
	});

	it("is asked about once when many come at the same time", async () => {
		expect(await Promise.all([check(), check(), check()])).toEqual(["ok", "ok", "ok"]);
		expect(asked).toBe(1);
	});

	it("stays good while the hub is away, until its own end and no longer", async () => {
		hub = valid(60 * minute);
		expect(await check()).toBe("ok");
		hub = { kind: "unreachable" };
		await clock.advance(59 * minute);
		expect(await check()).toBe("ok");
		await clock.advance(minute);
		expect(await check()).toBe("expired");
		expect(await check()).toBe("unavailable");
	});

	it("asks a hub that is away every five seconds at most, and hears its return", async () => {
		await check();
		hub = { kind: "unreachable" };
		await clock.advance(6 * minute);
		const before = asked;
		for (let i = 0; i < 5; i++) await check();
		expect(asked - before).toBe(1);
		hub = { kind: "invalid" };
		await clock.advance(sessionClientLimits.retryMs);
		expect(await check()).toBe("invalid");
	});

	it("is dead for good once the hub said so: a no is never stale", async () => {
		await check();
		await clock.advance(5 * minute);
		hub = { kind: "invalid" };
		expect(await check()).toBe("invalid");
		hub = { kind: "unreachable" };
		await clock.advance(15_000);
		expect(await check()).toBe("unavailable");
	});

	it("that is unknown is asked about again after fifteen seconds, and a few per address at once", async () => {
		hub = { kind: "invalid" };
		expect([await check(), await check(), asked]).toEqual(["invalid", "invalid", 1]);
		await clock.advance(15_000);
		expect([await check(), asked]).toEqual(["invalid", 2]);
		const verdicts = [];
		for (let i = 0; i < 40; i++)
			verdicts.push(await check(`${"b".repeat(30)}${String(i).padStart(2, "0")}`, "198.51.100.1"));
		expect(verdicts.filter((each) => each === "limited")).toHaveLength(10);
	});

	it("lets nobody unknown in while the hub is away", async () => {
		hub = { kind: "unreachable" };
		expect(await check()).toBe("unavailable");
	});

	it("survives a restart while the hub is away, hashed on disk; a no before it is not forgotten", async () => {
		const tables = await openSqliteTables<SessionMemoryTables>(":memory:", [sessionMemorySchema]);
		const restart = () => new SessionClient(async () => hub, clock, new SessionMemory(tables.db, clock));
		hub = valid(60 * minute);
		client = restart();
		expect(await check()).toBe("ok");
		expect(JSON.stringify(await tables.db.selectFrom("sessions_known").selectAll().execute())).not.toContain(token);
		hub = { kind: "unreachable" };
		client = restart();
		await clock.advance(30 * minute);
		expect(await check()).toBe("ok");
		hub = { kind: "invalid" };
		await clock.advance(5 * minute);
		expect(await check()).toBe("invalid");
		hub = { kind: "unreachable" };
		client = restart();
		expect(await check()).toBe("unavailable");
		await tables.close();
	});

	it("does not touch credentials of other kinds", async () => {
		for (const other of ["wd_token", "wn_token", "short"]) expect(await check(other)).toBe(null);
		expect(asked).toBe(0);
	});
});
