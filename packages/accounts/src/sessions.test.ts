import { VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { type KnownSession, Sessions, sessionCacheLimits, sessionTokenOf } from "./sessions.ts";

const token = "a".repeat(32);

let clock: VirtualClock;
let looks: number;
let answer: () => KnownSession | null | Promise<KnownSession | null>;
let sessions: Sessions;

const known = (lifeMs = 24 * 3600_000): KnownSession => ({
	sessionId: "s1",
	deviceName: "Phone",
	userId: "u1",
	name: "Ada",
	email: "ada@example.test",
	role: "user",
	admin: false,
	createdAt: clock.now(),
	expiresAt: clock.now() + lifeMs,
});
const check = async (bearer = token, remoteAddress = "127.0.0.1") => {
	const verdict = await sessions.authenticate(
		{ scheme: "bearer", token: bearer, from: "header" },
		{ accepts: ["session"], remoteAddress, path: "/" },
	);
	return verdict?.ok ? "ok" : (verdict?.reason ?? null);
};

beforeEach(() => {
	clock = new VirtualClock();
	looks = 0;
	const standing = known();
	answer = () => standing;
	const look = async () => {
		looks += 1;
		return answer();
	};
	sessions = new Sessions({ bySession: look, byApiKey: look }, clock);
});

describe("the hub's own look at sessions", () => {
	it("is one in five minutes, one for many at once, and one in fifteen seconds for an unknown one", async () => {
		await Promise.all([check(), check()]);
		await clock.advance(sessionCacheLimits.positiveMs - 1);
		await check();
		expect(looks).toBe(1);
		await clock.advance(1);
		await check();
		expect(looks).toBe(2);
		answer = () => null;
		await check("b".repeat(32));
		await check("b".repeat(32));
		expect(looks).toBe(3);
		await clock.advance(sessionCacheLimits.negativeMs);
		expect(await check("b".repeat(32))).toBe("invalid");
		expect(looks).toBe(4);
	});

	it("never believes a session past its end", async () => {
		const short = known(60_000);
		answer = () => (clock.now() < short.expiresAt ? short : null);
		expect(await check()).toBe("ok");
		await clock.advance(60_000);
		expect(await check()).toBe("invalid");
	});

	it("forgets a revoked session at once", async () => {
		await check();
		answer = () => null;
		sessions.forget((each) => each.sessionId === "s1");
		expect(await check()).toBe("invalid");
	});

	it("does not keep a yes that was on its way when the session was revoked", async () => {
		let release: (session: KnownSession) => void = () => {};
		answer = () => new Promise<KnownSession>((resolve) => (release = resolve));
		const racing = check();
		await clock.advance(0);
		answer = () => null;
		sessions.forget((each) => each.sessionId === "s1");
		release(known());
		expect(await racing).toBe("invalid");
		expect(await check()).toBe("invalid");
	});

	it("is bought a few times a second by one address with unknown tokens, and by no one with known ones", async () => {
		await check(token, "198.51.100.1");
		answer = () => null;
		const verdicts = [];
		for (let i = 0; i < sessionCacheLimits.unknownPerAddress.burst + 10; i++)
			verdicts.push(await check(`${"c".repeat(29)}${String(i).padStart(3, "0")}`, "198.51.100.1"));
		expect(verdicts.filter((each) => each === "limited")).toHaveLength(10);
		expect(await check(token, "198.51.100.1")).toBe("ok");
	});

	it("takes tokens of its own kind only", () => {
		expect(sessionTokenOf(`${token}.c2ln%3D`)).toBe(token);
		expect(sessionTokenOf("wk_key")).toBe("wk_key");
		for (const other of ["wd_token", `${token}x`, `${token}.`, "a".repeat(64), ""])
			expect(sessionTokenOf(other)).toBe(null);
	});
});
