import { createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
	derivePrincipalKey,
	formatCredential,
	isBelow,
	isServiceName,
	parseCredential,
	parseServiceToken,
	signAssertion,
	signUrlToken,
	tokenLimits,
	verifyAssertion,
	verifyUrlToken,
} from "./tokens.ts";

const id = "0b8f7f5e-2a51-4c1e-9a53-6f7d0a5d8c11";
const now = 1_800_000_000_000;
const request = { service: "web", method: "GET", path: "/a/b", now };

describe("tokens", () => {
	it("T1: a principal's key is HMAC-SHA256(master, mosb-principal-v1:<id>:<version>), carried whole in the credential", () => {
		const due = createHmac("sha256", "master").update(`mosb-principal-v1:${id}:3`).digest();
		const key = derivePrincipalKey("master", id, 3);
		expect(key).toEqual(due);
		expect(formatCredential(id, key)).toBe(`mosb_pr_${id}_${due.toString("base64url")}`);
		expect(parseCredential(formatCredential(id, key))).toEqual({ principalId: id, key });
	});

	it("T2: keys that hold underscores are split at the id's length", () => {
		const key = Buffer.alloc(32, 0xff);
		expect(key.toString("base64url")).toContain("_");
		expect(parseCredential(formatCredential(id, key))?.key).toEqual(key);
		expect(parseServiceToken(`mosb_my-app_${key.toString("base64url")}`)).toEqual({ service: "my-app" });
	});

	it.each([
		"",
		"mosb_pr_",
		`mosb_pr_${id}_`,
		`mosb_pr_${id}_${"A".repeat(42)}`,
		`mosb_pr_${id}_${"A".repeat(42)}B`,
		`MOSB_pr_${id}_${"A".repeat(43)}`,
	])("T3: %j is no credential", (text) => expect(parseCredential(text)).toBeNull());

	it.each(["pr", "A", "a_b", "-a", "a-", "a.b", "", "a".repeat(64)])("T4: %j names no service", (name) => {
		expect(isServiceName(name)).toBe(false);
	});

	it("T5: an assertion is <payload>.<hmac over assertion:payload>, and only its principal's key makes it", () => {
		const key = Buffer.alloc(32, 1);
		const text = signAssertion(key, { sub_id: "s", exp: now / 1000 + 10 });
		const [payload = "", mac] = text.split(".");
		expect(mac).toBe(createHmac("sha256", key).update(`assertion:${payload}`).digest("base64url"));
		expect(verifyAssertion(key, text, request)).toMatchObject({ sub_id: "s" });
		expect(verifyAssertion(Buffer.alloc(32, 2), text, request)).toMatch(/not signed/);
		expect(verifyAssertion(key, `${text}A`, request)).toMatch(/not signed/);
		expect(verifyAssertion(key, signUrlToken(key, { p: id, k: 1, s: "web", e: now }), request)).toMatch(/not signed/);
	});

	it("T6: a URL token holds to its service, its methods, its path and its end", () => {
		const key = Buffer.alloc(32, 1);
		const token = { p: id, k: 1, s: "web", e: now / 1000 + 10 };
		const check = (change: object, asked: object = {}) =>
			typeof verifyUrlToken(key, signUrlToken(key, { ...token, ...change }), { ...request, ...asked });
		expect(check({})).toBe("object");
		expect(check({ e: now / 1000 })).toBe("string");
		expect(check({ e: now / 1000 + tokenLimits.maxUrlTokenSeconds })).toBe("object");
		// Whoever holds the key can sign any.
		expect(check({ e: now / 1000 + tokenLimits.maxUrlTokenSeconds + 3600 })).toBe("string");
		expect(check({ s: "other" })).toBe("string");
		expect(check({ m: ["POST"] })).toBe("string");
		expect(check({ d: "/a" })).toBe("object");
		expect(check({ d: "/a" }, { path: "/ab" })).toBe("string");
	});

	it.each(["/a/../b", "/a/%2e%2e/b", "/a%2Fb", "/a//b", "/a/./b", "/a\\b", "/a/b;x"])(
		"T7: %s lies below nothing",
		(path) => {
			expect(isBelow(path, "/a")).toBe(false);
		},
	);
});
