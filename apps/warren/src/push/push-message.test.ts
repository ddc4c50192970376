import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { maxPayloadBytes, sealPush, senderKey, vapidAuthorization } from "./push-message.ts";

const bytes = (text: string) => Buffer.from(text, "base64url");
/** RFC 8291, appendix A. */
const receiver = {
	p256dh: bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
	auth: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
};
const sender = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
const salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");

describe("a push message", () => {
	it("is sealed as RFC 8291 has it in its example", () => {
		const plain = Buffer.from("When I grow up, I want to be a watermelon");
		expect(sealPush(plain, receiver, sender, salt).toString("base64url")).toBe(
			"DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
		);
	});

	it("is refused above what every push service takes, and for a key that is no point of the curve", () => {
		expect(() => sealPush(Buffer.alloc(maxPayloadBytes + 1), receiver, sender, salt)).toThrow(RangeError);
		const off = { ...receiver, p256dh: Buffer.alloc(65, 4) };
		expect(() => sealPush(Buffer.from("x"), off, sender, salt)).toThrow();
	});

	it("is signed for the push service's origin alone, for half a day", () => {
		const { privateKey: made } = generateKeyPairSync("ec", { namedCurve: "P-256" });
		const jwk = made.export({ format: "jwk" }) as { x: string; y: string; d: string };
		const key = senderKey(jwk);
		const now = Date.UTC(2026, 0, 1);
		const header = vapidAuthorization(
			"https://push.example.test/send/abc?x=1",
			{ ...key, contact: "mailto:a@b.c" },
			now,
		);
		const [, token = "", shown = ""] = /^vapid t=(\S+), k=(\S+)$/.exec(header) ?? [];
		expect(shown).toBe(key.publicKey);
		const [head, claims, signature] = token.split(".") as [string, string, string];
		expect(JSON.parse(bytes(claims).toString())).toEqual({
			...{ aud: "https://push.example.test", sub: "mailto:a@b.c", exp: now / 1000 + 12 * 3600 },
		});
		const publicKey = createPublicKey(key.privateKey);
		const signed = Buffer.from(`${head}.${claims}`);
		expect(verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, bytes(signature))).toBe(true);
	});
});
