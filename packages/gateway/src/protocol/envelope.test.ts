import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isSignedBy, MeshKey } from "../ed25519.ts";
import { canonicalJson, envelopeLimits, envelopeText, openEnvelope, type Payload } from "./envelope.ts";

const key = newKey();

function newKey(): MeshKey {
	const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string;
	return MeshKey.open(
		() => pem,
		() => {},
	);
}

const sealed = (payload: Payload, meshId = "a", by = key): Payload => ({
	...payload,
	signed: { key: by.publicKey, signature: by.sign(envelopeText(meshId, payload) as string) },
});
const open = (payload: Payload, meshId = "a") => openEnvelope(meshId, payload, isSignedBy);

describe("an envelope", () => {
	it.each([
		// RFC 8785, sections 3.2.2 and 3.2.3.
		[
			'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/","literals":[null,true,false]}',
			'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
		],
		[
			'{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji: Grinning Face","\\u0080":"Control","\\u00f6":"Latin Small Letter O With Diaeresis"}',
			'{"\\r":"Carriage Return","1":"One","\u0080":"Control","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😀":"Emoji: Grinning Face","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
		],
	])("E1 is written as the standard's examples are", (text, canonical) => {
		expect(canonicalJson(JSON.parse(text), envelopeLimits.maxDepth)).toBe(canonical);
	});

	it("E2 holds for any payload, through a gateway that parses and writes it again in another order", () => {
		fc.assert(
			fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })), (payload) => {
				const { signed: _, ...rest } = JSON.parse(JSON.stringify(payload)) as Record<string, unknown>;
				const sent = JSON.parse(JSON.stringify(sealed(rest))) as Record<string, unknown>;
				const shuffled = Object.fromEntries(Object.entries(sent).reverse());
				expect(open(shuffled)).toEqual({ kind: "signed", key: key.publicKey });
			}),
			{ numRuns: 200 },
		);
	});

	it.each<[string, (whole: Payload) => Payload]>([
		["another text", (whole) => ({ ...whole, text: "pay Eve" })],
		["one more field", (whole) => ({ ...whole, also: 1 })],
		["a field less", ({ n, signed }) => ({ n, signed })],
		["another's key", (whole) => ({ ...whole, signed: { ...(whole["signed"] as object), key: newKey().publicKey } })],
		["a key that is none", (whole) => ({ ...whole, signed: { ...(whole["signed"] as object), key: "_".repeat(43) } })],
		["a cut signature", (whole) => ({ ...whole, signed: { key: key.publicKey, signature: "AAAA" } })],
		["a list for a signature", (whole) => ({ ...whole, signed: [] })],
		["null for a signature", (whole) => ({ ...whole, signed: null })],
		["numbers for key and signature", (whole) => ({ ...whole, signed: { key: 1, signature: 2 } })],
	])("E1 %s is forged", (_name, change) => {
		expect(open(change(sealed({ text: "pay Bob", n: 1 })))).toMatchObject({ kind: "forged" });
	});

	it("E1 what one mesh signed is forged in another's name", () => {
		expect(open(sealed({ text: "hi" }, "a"), "b")).toMatchObject({ kind: "forged" });
	});

	it("E1 is nested no deeper than its limit, at any depth that a message can hold", () => {
		const nested = (depth: number): Payload => JSON.parse(`${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`) as Payload;
		expect(envelopeText("a", nested(envelopeLimits.maxDepth))).not.toBeNull();
		expect(envelopeText("a", nested(envelopeLimits.maxDepth + 1))).toBeNull();
		const deep = { ...nested(30_000), signed: { key: "k".repeat(43), signature: "s".repeat(86) } };
		expect(open(deep)).toMatchObject({ kind: "forged" });
	});

	it("is none where nothing is signed", () => {
		expect(open({ text: "hi" })).toEqual({ kind: "unsigned" });
	});
});
