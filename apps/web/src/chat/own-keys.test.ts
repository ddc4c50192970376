import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { OwnKeys } from "./own-keys.ts";

describe("own keys", () => {
	it("open on another device with the passphrase alone, and are nowhere in clear", async () => {
		const here = new Y.Doc();
		const keys = new OwnKeys(here);
		expect(keys.locked).toBe(false);
		expect(await keys.unlock("correct horse")).toBe(true);
		await keys.set("openai", "sk-of-ada");
		const update = Y.encodeStateAsUpdate(here);
		expect(Buffer.from(update).toString("latin1")).not.toContain("sk-of-ada");

		const there = new Y.Doc();
		Y.applyUpdate(there, update);
		const other = new OwnKeys(there);
		expect([other.locked, other.providers()]).toEqual([true, ["openai"]]);
		expect(await other.get("openai")).toBeNull();
		expect(await other.unlock("wrong")).toBe(false);
		expect(await other.unlock("correct horse")).toBe(true);
		expect(await other.get("openai")).toBe("sk-of-ada");
		// Asked for while the passphrase is still being worked on: that is waited for.
		const third = new OwnKeys(there);
		const unlocked = third.unlock("correct horse");
		expect(await third.get("openai")).toBe("sk-of-ada");
		expect(await unlocked).toBe(true);
		await other.set("openai", "");
		expect(other.providers()).toEqual([]);
	});
});
