import { Lifetime, silentLogger } from "@warren/kernel";
import { MemoryBus, openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Changes } from "../changes.ts";
import { parseCredential, signAssertion, signUrlToken } from "../protocol/tokens.ts";
import { type BackboneTables, backboneSchema } from "../schema.ts";
import { Callers } from "./callers.ts";
import { type Principal, Principals } from "./principals.ts";
import { signedLineLimits } from "./signed-lines.ts";
import { SigningKey } from "./signing-key.ts";

class CountingKey extends SigningKey {
	signed = 0;
	override sign(claims: Readonly<Record<string, unknown>>): string {
		this.signed += 1;
		return super.sign(claims);
	}
}

let lifetime: Lifetime;
let clock: VirtualClock;
let principals: Principals;
let signer: CountingKey;
let callers: Callers;
let ada: Principal;
beforeEach(async () => {
	lifetime = new Lifetime();
	clock = new VirtualClock();
	const { db } = lifetime.own(await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]));
	const changes = new Changes(lifetime.own(new MemoryBus(silentLogger)));
	principals = new Principals(db, clock, "a-master-secret-of-tests-and-of-nothing-else", changes);
	signer = new CountingKey(SigningKey.generate());
	callers = lifetime.own(new Callers({ principals, signer, changes, clock }, "https://mos.test"));
	ada = await principals.register({ name: "Ada", email: "a@b.c", note: "", address: "127.0.0.1", state: "active" });
	await db
		.insertInto("backbone_services")
		.values({ name: "web", kind: "http", port: null, settings: "{}", created_at: 0 })
		.execute();
	await principals.grant(ada.principal_id, "web", "test");
});
afterEach(() => lifetime.close());

const nothing = { credential: null, assertion: null, urlToken: null, cookieToken: null };

async function linesOf(offered: Partial<typeof nothing> | Record<string, string>): Promise<string> {
	const request = { service: "web", method: "GET", path: "/", now: clock.now() };
	const caller = await callers.judge({ ...nothing, ...offered }, request, "127.0.0.1");
	return caller.ok ? caller.lines : `${caller.status}`;
}

function asserted(credential: string, sub_id: string): Record<string, string> {
	const key = parseCredential(credential)?.key as Buffer;
	const exp = Math.floor(clock.now() / 1000) + 60;
	return { credential, assertion: signAssertion(key, { sub_id, exp }) };
}

describe("a signature", () => {
	it("is made once for who is asserted, and anew while it still has long enough to live", async () => {
		const credential = principals.credentialOf(ada);
		const first = await linesOf(asserted(credential, "alice"));
		expect(first).toMatch(/x-mosb-sub-id: alice\r\n[^]*x-mosb-jwt: /);
		const before = signer.signed;
		await clock.advance(20_000);
		for (let each = 0; each < 100; each++) expect(await linesOf(asserted(credential, "alice"))).toBe(first);
		expect(signer.signed).toBe(before);
		await clock.advance(signedLineLimits.jwtSeconds * 1000 - signedLineLimits.jwtLeftMs);
		const later = await linesOf(asserted(credential, "alice"));
		expect(later).not.toBe(first);
		const claims = JSON.parse(Buffer.from(later.split("x-mosb-jwt: ")[1]?.split(".")[1] ?? "", "base64url").toString());
		expect(claims.exp * 1000 - clock.now()).toBeGreaterThanOrEqual(signedLineLimits.jwtLeftMs);
	});

	it("of one person is never sent for another", async () => {
		const credential = principals.credentialOf(ada);
		const [alice, bob, plain] = [
			await linesOf(asserted(credential, "alice")),
			await linesOf(asserted(credential, "bob")),
			await linesOf({ credential }),
		];
		expect(new Set([alice, bob, plain]).size).toBe(3);
		expect(await linesOf(asserted(credential, "bob"))).toBe(bob);
		expect(plain).not.toContain("sub-id");
	});

	it("that was kept opens nothing once the key was rotated: credential, assertion and URL token end at once", async () => {
		const credential = principals.credentialOf(ada);
		const exp = Math.floor(clock.now() / 1000) + 600;
		const key = principals.keyOf(ada);
		const urlToken = signUrlToken(key, { p: ada.principal_id, k: 1, s: "web", e: exp });
		const old = [asserted(credential, "alice"), { credential }, { urlToken }];
		for (const each of old) expect(await linesOf(each)).toContain("x-mosb-jwt");
		const rotated = await principals.rotate(ada.principal_id, ada.key_version);
		for (const each of old) expect(await linesOf(each)).toBe("401");
		const before = signer.signed;
		expect(await linesOf({ credential: principals.credentialOf(rotated) })).toContain("x-mosb-jwt");
		expect(signer.signed).toBe(before + 1);
	});

	it("is kept for a bounded number of people", async () => {
		const credential = principals.credentialOf(ada);
		const first = await linesOf(asserted(credential, "p0"));
		for (let each = 1; each <= signedLineLimits.max; each++) await linesOf(asserted(credential, `p${each}`));
		const before = signer.signed;
		await linesOf(asserted(credential, `p${signedLineLimits.max}`));
		expect(signer.signed).toBe(before);
		expect(await linesOf(asserted(credential, "p0"))).toBe(first);
		expect(signer.signed).toBe(before + 1);
	});
});

describe("an assertion that counts once among several nodes", () => {
	it("counts still when the nodes could not be asked, and once they could no more", async () => {
		const changes = new Changes(lifetime.own(new MemoryBus(silentLogger)));
		let isAway = true;
		const use = async () => {
			if (isAway) throw new Error("the tables are away");
			return true;
		};
		callers = lifetime.own(new Callers({ principals, signer, changes, clock, once: { use } }, "https://mos.test"));
		const credential = principals.credentialOf(ada);
		const key = parseCredential(credential)?.key as Buffer;
		const exp = Math.floor(clock.now() / 1000) + 60;
		const offered = { credential, assertion: signAssertion(key, { sub_id: "alice", exp, jti: "one" }) };
		await expect(linesOf(offered)).rejects.toThrow("the tables are away");
		isAway = false;
		expect(await linesOf(offered)).toContain("x-mosb-sub-id: alice");
		expect(await linesOf(offered)).toBe("401");
	});
});
