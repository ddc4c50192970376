import { createPublicKey, type JsonWebKeyInput, verify } from "node:crypto";
import { VirtualClock } from "@warren/testkit";
import { beforeEach, describe, expect, it } from "vitest";
import { SigningKey } from "./signing-key.ts";
import { SigningKeys, type StoredSigningKey, signingKeyLimits } from "./signing-keys.ts";

let clock: VirtualClock;
let stored: readonly StoredSigningKey[];
const open = () =>
	new SigningKeys(clock, {
		keys: stored,
		save: async (keys) => {
			stored = keys;
			return true;
		},
		reload: null,
	});
beforeEach(() => {
	clock = new VirtualClock();
	stored = [{ pem: SigningKey.generate(), from: clock.now() }];
});

/** As an application does: by the key that the token names, from a set that it fetched at some time. */
function verifies(token: string, keys: readonly Readonly<Record<string, string>>[]): boolean {
	const [head = "", body = "", signature = ""] = token.split(".");
	const { kid } = JSON.parse(Buffer.from(head, "base64url").toString()) as { kid: string };
	const jwk = keys.find((each) => each["kid"] === kid);
	if (jwk === undefined) return false;
	const key = createPublicKey({ key: jwk as JsonWebKeyInput["key"], format: "jwk" });
	return verify(null, Buffer.from(`${head}.${body}`), key, Buffer.from(signature, "base64url"));
}

describe("SigningKeys", () => {
	it("I2: a token verifies with a set fetched before the change, during it, and after it", async () => {
		const keys = open();
		const before = keys.sign({ sub: "a" });
		await keys.rotate();
		const announced = keys.jwks().keys;
		expect(announced).toHaveLength(2);
		expect(keys.sign({}).split(".")[0]).toBe(before.split(".")[0]);
		await clock.advance(signingKeyLimits.aheadMs);
		const after = keys.sign({ sub: "a" });
		expect(after.split(".")[0]).not.toBe(before.split(".")[0]);
		for (const token of [before, after]) {
			expect(verifies(token, announced)).toBe(true);
			expect(verifies(token, keys.jwks().keys)).toBe(true);
		}
		await clock.advance(signingKeyLimits.afterMs);
		expect(keys.jwks().keys).toHaveLength(1);
		expect(verifies(after, keys.jwks().keys)).toBe(true);
		expect(verifies(before, keys.jwks().keys)).toBe(false);
		keys.start();
		await clock.advance(0);
		expect(stored).toHaveLength(1);
		keys.close();
	});

	it("I2: keys change by themselves at the end of their life, and a restart goes on with the same ones", async () => {
		const keys = open();
		keys.start();
		const first = keys.jwks().keys[0]?.["kid"];
		await clock.advance(signingKeyLimits.lifeMs - signingKeyLimits.aheadMs);
		expect(keys.jwks().keys).toHaveLength(1);
		await clock.advance(2 * signingKeyLimits.checkMs);
		expect(keys.jwks().keys).toHaveLength(2);
		const again = open();
		expect(again.jwks()).toEqual(keys.jwks());
		await clock.advance(signingKeyLimits.aheadMs + signingKeyLimits.afterMs);
		expect(keys.jwks().keys.map((each) => each["kid"])).not.toContain(first);
		keys.close();
		expect(clock.pending).toBe(0);
	});

	it("I2: told twice it makes one, and one that cannot be saved is never shown", async () => {
		const keys = open();
		const [one, other] = await Promise.all([keys.rotate(), keys.rotate()]);
		expect(one).toEqual(other);
		const broken = new SigningKeys(clock, {
			keys: [{ pem: SigningKey.generate(), from: 0 }],
			save: () => Promise.reject(new Error("ENOSPC")),
			reload: null,
		});
		await expect(broken.rotate()).rejects.toThrow("ENOSPC");
		expect(broken.jwks().keys).toHaveLength(1);
	});

	it("I2: a key of before there were several signs on, and is replaced within the hour that announces it", async () => {
		stored = [{ pem: SigningKey.generate(), from: 0 }];
		const keys = open();
		const old = keys.sign({});
		keys.start();
		await clock.advance(0);
		expect(keys.jwks().keys).toHaveLength(2);
		expect(keys.sign({}).split(".")[0]).toBe(old.split(".")[0]);
		keys.close();
	});
});
