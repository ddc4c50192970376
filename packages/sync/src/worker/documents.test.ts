import { systemClock } from "@warren/kernel";
import { afterAll, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { Coverage } from "../protocol/index.ts";
import { documentHash, runDocumentJob } from "./document-jobs.ts";
import { Documents } from "./documents.ts";

const documents = new Documents(systemClock);
afterAll(() => documents.close());

function edited(edit: (doc: Y.Doc) => void, from?: Y.Doc): Y.Doc {
	const doc = new Y.Doc();
	if (from !== undefined) Y.applyUpdate(doc, Y.encodeStateAsUpdate(from));
	edit(doc);
	return doc;
}

describe("the worker", () => {
	it("compacts a log into one snapshot with its coverage and hash", async () => {
		const updates: Uint8Array[] = [];
		const doc = new Y.Doc();
		doc.on("update", (update: Uint8Array) => updates.push(update));
		for (let i = 0; i < 300; i++) doc.getText("t").insert(0, `${i} `);
		doc.getText("t").delete(0, 500);
		const outcome = await documents.run({ kind: "compact", updates });
		if (!outcome.ok) throw new Error(outcome.message);
		const again = edited((each) => Y.applyUpdate(each, outcome.result.update));
		expect(again.getText("t").toJSON()).toBe(doc.getText("t").toJSON());
		expect(outcome.result.hash).toBe(documentHash(doc));
		expect(Coverage.decode(outcome.result.coverage).pendingRanges).toBe(0);
		expect(outcome.result.update.length).toBeLessThan(updates.reduce((sum, each) => sum + each.length, 0));
	});

	it("keeps what waits for something that has not come", async () => {
		const doc = new Y.Doc();
		const updates: Uint8Array[] = [];
		doc.on("update", (update: Uint8Array) => updates.push(update));
		for (const word of ["a", "b", "c"]) doc.getText("t").insert(0, word);
		const compacted = await documents.need({ kind: "compact", updates: [updates[0], updates[2]] as Uint8Array[] });
		expect(Coverage.decode(compacted.coverage).pendingRanges).toBe(1);
		const whole = edited((each) => {
			Y.applyUpdate(each, compacted.update);
			Y.applyUpdate(each, updates[1] as Uint8Array);
		});
		expect(whole.getText("t").toJSON()).toBe("cba");
	});

	it("says poison for what cannot be applied, and works on", async () => {
		expect(await documents.run({ kind: "compact", updates: [new Uint8Array([1, 1, 1])] })).toMatchObject({
			ok: false,
			why: "poison",
		});
		expect((await documents.run({ kind: "json", updates: [] })).ok).toBe(true);
	});

	it("reads a job's document when its turn has come, one at a time, and goes on after one that cannot be read", async () => {
		let done = 0;
		const before: number[] = [];
		const outcomes = await Promise.allSettled(
			Array.from({ length: 5 }, (_, index) =>
				documents
					.run(async () => {
						await new Promise(setImmediate);
						before.push(done);
						if (index === 2) throw new Error("it is damaged");
						return { kind: "json", updates: [] };
					})
					.finally(() => {
						done += 1;
					}),
			),
		);
		expect(before).toEqual([0, 1, 2, 3, 4]);
		expect(outcomes.map(({ status }) => status === "fulfilled")).toEqual([true, true, false, true, true]);
	});

	it("gives up on a job that takes too long, and works on", async () => {
		const hasty = new Documents(systemClock, 0);
		expect(await hasty.run({ kind: "json", updates: [] })).toMatchObject({ ok: false, why: "failed" });
		await hasty.close();
		expect(await hasty.run({ kind: "json", updates: [] })).toMatchObject({ why: "busy" });
	});

	it("exports each root as what its content is", () => {
		const doc = edited((each) => {
			each.getText("text").insert(0, "hello");
			each.getMap("map").set("a", { b: 1 });
			each.getArray("list").insert(0, [1, "two"]);
			each.getXmlFragment("xml").insert(0, [new Y.XmlElement("p")]);
		});
		expect(runDocumentJob({ kind: "json", updates: [Y.encodeStateAsUpdate(doc)] })).toEqual({
			list: [1, "two"],
			map: { a: { b: 1 } },
			text: "hello",
			xml: "<p></p>",
		});
	});
});

describe("going back to a checkpoint", () => {
	it("is an edit that restores content, deleted and changed, whatever the types", () => {
		const then = edited((doc) => {
			doc.getText("t").insert(0, "the quick brown fox");
			doc.getMap("m").set("a", 1);
			doc.getMap("m").set("nested", new Y.Map([["x", "y"]]));
			doc.getArray("l").insert(0, [1, 2, 3]);
		});
		const now = edited((doc) => {
			doc.getText("t").delete(4, 6);
			doc.getText("t").insert(0, "later: ");
			doc.getMap("m").set("a", 2);
			doc.getMap("m").delete("nested");
			doc.getMap("m").set("new", true);
			doc.getArray("l").delete(0, 2);
			doc.getText("added").insert(0, "x");
		}, then);
		const update = runDocumentJob({
			kind: "revert",
			updates: [Y.encodeStateAsUpdate(now)],
			to: Y.encodeStateAsUpdate(then),
		});
		Y.applyUpdate(now, update);
		expect(now.getText("t").toJSON()).toBe("the quick brown fox");
		expect(now.getMap("m").toJSON()).toEqual({ a: 1, nested: { x: "y" } });
		expect(now.getArray("l").toJSON()).toEqual([1, 2, 3]);
		expect(now.getText("added").toJSON()).toBe("");
	});
});

describe("the hash of a document", () => {
	it("is equal for equal documents, whichever way they came about, and differs after a deletion alone", () => {
		const doc = new Y.Doc();
		const updates: Uint8Array[] = [];
		doc.on("update", (update: Uint8Array) => updates.push(update));
		for (let i = 0; i < 20; i++) doc.getText("t").insert(i % 3, "word");
		doc.getText("t").delete(3, 30);
		const other = edited((each) => {
			for (const update of updates.reverse()) Y.applyUpdate(each, update);
		});
		expect(documentHash(other)).toBe(documentHash(doc));
		other.getText("t").delete(0, 1);
		expect(documentHash(other)).not.toBe(documentHash(doc));
	});
});
