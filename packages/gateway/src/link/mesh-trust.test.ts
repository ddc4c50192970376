import { openSqliteTables } from "@warren/store";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { fingerprintOf, MeshKey } from "../ed25519.ts";
import { envelopeText } from "../protocol/index.ts";
import { gatewayLinkSchema } from "./link-schema.ts";
import { KeptSettings } from "./link-settings.ts";
import { MeshTrust } from "./mesh-trust.ts";

async function open() {
	const tables = await openSqliteTables<Record<never, never>>(":memory:", [gatewayLinkSchema]);
	const clock = new VirtualClock();
	const { statements } = tables;
	return {
		trust: new MeshTrust(statements, clock),
		settings: () => new KeptSettings(statements),
		[Symbol.asyncDispose]: async () => tables.close(),
	};
}

const newKey = () =>
	MeshKey.open(
		() => null,
		() => {},
	);
const message = (text: string, key: MeshKey | null, from = "there") => {
	const payload = { text };
	const signature = key === null ? "" : key.sign(envelopeText(from, payload) as string);
	return {
		...{ fromMeshId: from, fromMeshName: "There", id: null },
		payload: key === null ? payload : { ...payload, signed: { key: key.publicKey, signature } },
	};
};

describe("what other meshes sign", () => {
	it("E3 the first key of a mesh stays: another, none, and a changed text are refused and counted", async () => {
		await using world = await open();
		const { trust } = world;
		const [own, thief] = [newKey(), newKey()];
		expect(trust.judge(message("before there were keys", null))).toEqual({ ok: true, signedBy: null });
		expect(trust.judge(message("hi", own))).toEqual({ ok: true, signedBy: own.publicKey });
		expect(trust.judge(message("hi", thief))).toMatchObject({ ok: false, why: /another key/ });
		expect(trust.judge(message("hi", null))).toMatchObject({ ok: false, why: /not signed/ });
		const changed = message("hi", own);
		expect(trust.judge({ ...changed, payload: { ...changed.payload, text: "no" } })).toMatchObject({ ok: false });
		expect(trust.judge({ ...changed, fromMeshId: "elsewhere" })).toMatchObject({ ok: false });
		expect(trust.judge(message("hi again", own))).toEqual({ ok: true, signedBy: own.publicKey });
		expect(trust.list()).toMatchObject([
			{
				meshId: "there",
				fingerprint: fingerprintOf(own.publicKey),
				refused: 3,
				offered: fingerprintOf(thief.publicKey),
			},
		]);
	});

	it("E4 a new key counts once its fingerprint was accepted, and only that one", async () => {
		await using world = await open();
		const { trust } = world;
		const [old, renewed, other] = [newKey(), newKey(), newKey()];
		trust.judge(message("hi", old));
		expect(() => trust.accept("there", fingerprintOf(renewed.publicKey)), "it was never seen").toThrow(/No key/);
		trust.judge(message("hi", renewed));
		expect(() => trust.accept("there", fingerprintOf(other.publicKey))).toThrow(/No key/);
		trust.accept("there", fingerprintOf(renewed.publicKey));
		expect(trust.judge(message("hi", renewed))).toEqual({ ok: true, signedBy: renewed.publicKey });
		expect(trust.judge(message("hi", old))).toMatchObject({ ok: false });
		trust.forget("there");
		expect(() => trust.forget("there")).toThrow(/No key/);
		expect(trust.judge(message("hi", null))).toEqual({ ok: true, signedBy: null });
	});

	it("who is blocked, or not among those allowed, is not admitted; it is kept", async () => {
		await using world = await open();
		const settings = world.settings();
		expect(settings.admits("a")).toBe(true);
		settings.access = { allow: null, block: ["a"] };
		expect([settings.admits("a"), settings.admits("b")]).toEqual([false, true]);
		settings.access = { allow: ["b"], block: [] };
		const again = world.settings();
		expect([again.admits("a"), again.admits("b")]).toEqual([false, true]);
	});

	it("a gateway has a key for one mesh at one address", async () => {
		await using world = await open();
		const settings = world.settings();
		const place = { gatewayUrl: "wss://g/gateway", meshId: "a", publicKey: "k" };
		settings.keyedAt(place);
		expect(world.settings().isKeyedAt(place)).toBe(true);
		for (const other of [{ gatewayUrl: "wss://h/gateway" }, { meshId: "b" }, { publicKey: "l" }])
			expect(settings.isKeyedAt({ ...place, ...other })).toBe(false);
		settings.keyedAt(null);
		expect(settings.isKeyedAt(place)).toBe(false);
	});
});
