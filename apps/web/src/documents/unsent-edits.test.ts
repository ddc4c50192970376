import { describe, expect, it } from "vitest";
import { HandedOver } from "./handed-over.ts";
import { UnsentEdits } from "./unsent-edits.ts";

function storage(): Pick<Storage, "getItem" | "setItem" | "removeItem"> & { readonly kept: Map<string, string> } {
	const kept = new Map<string, string>();
	return {
		kept,
		getItem: (key) => kept.get(key) ?? null,
		setItem: (key, value) => void kept.set(key, value),
		removeItem: (key) => void kept.delete(key),
	};
}

describe("documents with edits that the hub lacks", () => {
	it("are remembered over a reload, each once, by account, until the hub has them", () => {
		const kept = storage();
		const edits = new UnsentEdits(kept);
		edits.add("ada", "plan");
		edits.add("ada", "plan");
		edits.add("ada", "diary");
		edits.add("bob", "plan");
		expect(new UnsentEdits(kept).list("ada")).toEqual(["plan", "diary"]);
		edits.remove("ada", "plan");
		edits.remove("ada", "never there");
		expect([edits.list("ada"), edits.list("bob")]).toEqual([["diary"], ["plan"]]);
		edits.forget("ada");
		edits.remove("bob", "plan");
		expect(kept.kept.size).toBe(0);
	});

	it("are none where the browser keeps something else, or nothing", () => {
		const kept = storage();
		kept.setItem("warren.documents.unsent.v1.ada", '{"no":"list"}');
		kept.setItem("warren.documents.unsent.v1.bob", '["plan", 7, null]');
		kept.setItem("warren.documents.unsent.v1.cyd", "[");
		const edits = new UnsentEdits(kept);
		expect(["ada", "bob", "cyd"].map((user) => edits.list(user))).toEqual([[], ["plan"], []]);
		const full = new UnsentEdits({
			...storage(),
			setItem: () => {
				throw new DOMException("full", "QuotaExceededError");
			},
		});
		expect(() => full.add("ada", "plan")).not.toThrow();
		expect(full.list("ada")).toEqual([]);
	});
});

describe("what a connection handed over", () => {
	it("is everything once the hub's count of what is on disk has reached what was sent, the first answer included", () => {
		const handed = new HandedOver();
		expect(handed.complete).toBe(false);
		handed.connected();
		expect(handed.complete).toBe(false);
		handed.acknowledged(1);
		expect(handed.complete).toBe(true);
		handed.sent();
		handed.sent();
		handed.acknowledged(2);
		expect(handed.complete).toBe(false);
		handed.acknowledged(3);
		expect(handed.complete).toBe(true);
	});

	it("counts from nothing on the next connection", () => {
		const handed = new HandedOver();
		handed.connected();
		handed.acknowledged(1);
		handed.connected();
		expect(handed.complete).toBe(false);
	});
});
