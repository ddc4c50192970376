import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as Y from "yjs";
import { ClockRanges } from "./clock-ranges.ts";
import { Coverage, readStateVector } from "./coverage.ts";
import { syncLimits } from "./limits.ts";
import { readUpdate, type UpdateFacts } from "./update-facts.ts";
import { Writer } from "./writer.ts";

/** A document with every kind of content, and its updates as they happened. */
function busyDocument(clientID = 7): { doc: Y.Doc; updates: Uint8Array[] } {
	const doc = new Y.Doc();
	doc.clientID = clientID;
	const updates: Uint8Array[] = [];
	doc.on("update", (update: Uint8Array) => updates.push(update));
	const text = doc.getText("text");
	text.insert(0, "grüße 😀 und mehr");
	text.format(0, 5, { bold: true });
	text.insertEmbed(3, { image: "x" });
	text.delete(2, 4);
	const map = doc.getMap("map");
	map.set("any", [1, -1, 1.5, 2 ** 40, null, undefined, true, { a: "b" }, new Uint8Array([1, 2]), 12n]);
	map.set("doc", new Y.Doc({ guid: "sub" }));
	map.delete("any");
	const xml = doc.getXmlFragment("xml");
	const paragraph = new Y.XmlElement("p");
	xml.insert(0, [paragraph, new Y.XmlText("hello")]);
	paragraph.setAttribute("class", "big");
	doc.getArray("list").insert(0, [new Y.Map(), "x", new Uint8Array(3)]);
	return { doc, updates };
}

function facts(update: Uint8Array): UpdateFacts {
	const reading = readUpdate(update);
	if (!reading.ok) throw new Error(reading.message);
	return reading.facts;
}

function gcUpdate(client: number, clock: number, length: number): Uint8Array {
	const writer = new Writer();
	for (const value of [1, 1, client, clock]) writer.varUint(value);
	writer.u8(0);
	writer.varUint(length);
	writer.varUint(0);
	return writer.take();
}

describe("an update is read whole (S2)", () => {
	it("and its clocks are those that Yjs sees", () => {
		const { doc, updates } = busyDocument();
		const coverage = new Coverage();
		for (const update of updates) coverage.add(facts(update));
		expect(updates.length).toBeGreaterThan(8);
		expect(readStateVector(coverage.stateVector())).toEqual(Y.decodeStateVector(Y.encodeStateVector(doc)));
		// The whole document says nothing that its parts did not.
		expect(coverage.covers(facts(Y.encodeStateAsUpdate(doc)))).toBe(true);
	});

	it("and every truncation of it is refused", () => {
		const { doc, updates } = busyDocument();
		for (const update of [...updates, Y.encodeStateAsUpdate(doc)]) {
			for (let length = 0; length < update.length; length++) {
				// A slice of a larger buffer, as messages are: nothing behind the end may be looked at.
				expect(readUpdate(update.subarray(0, length)).ok).toBe(false);
			}
		}
	});

	it("and what passes can be decoded by Yjs, whatever the bytes", () => {
		const whole = Y.encodeStateAsUpdate(busyDocument().doc);
		let passed = 0;
		fc.assert(
			fc.property(
				fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
				(changes) => {
					const update = whole.slice();
					for (const [at, value] of changes) update[at] = value;
					if (!readUpdate(update).ok) return;
					passed += 1;
					expect(() => Y.decodeUpdate(update)).not.toThrow();
				},
			),
			// Once found: a skip with other bits set, which Yjs takes for an item.
			{
				numRuns: 3_000,
				examples: [
					[
						[
							[20, 234],
							[15, 128],
						],
					],
				],
			},
		);
		expect(passed).toBeGreaterThan(50);
	});

	it("and random bytes never throw", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
				readUpdate(bytes);
			}),
			{ numRuns: 2_000 },
		);
	});

	it("and text that is not UTF-8, unknown content and deep nesting are refused", () => {
		const text = Y.encodeStateAsUpdate(
			(() => {
				const doc = new Y.Doc();
				doc.getText("t").insert(0, "abc");
				return doc;
			})(),
		);
		const broken = text.slice();
		broken[broken.indexOf("b".charCodeAt(0))] = 0xff;
		expect(readUpdate(broken)).toMatchObject({ ok: false, message: expect.stringContaining("UTF-8") });
		const deep = new Y.Doc();
		let value: unknown = 1;
		for (let i = 0; i < syncLimits.maxContentDepth + 2; i++) value = [value];
		deep.getMap("m").set("k", value);
		expect(readUpdate(Y.encodeStateAsUpdate(deep))).toMatchObject({ message: expect.stringContaining("deep") });
	});
});

describe("clocks are bounded (S3)", () => {
	it("in one update", () => {
		const coverage = new Coverage();
		expect(coverage.refuses(facts(gcUpdate(1, 0, syncLimits.maxClockSpan)))).toBeNull();
		expect(coverage.refuses(facts(gcUpdate(1, 0, syncLimits.maxClockSpan + 1)))).toContain("claims more than");
		expect(gcUpdate(1, 0, 2 ** 40).length).toBeLessThan(13);
		expect(readUpdate(gcUpdate(1, 2 ** 53 - 2, 8)).ok).toBe(false);
	});

	it("in the gap before it", () => {
		const coverage = new Coverage();
		expect(coverage.refuses(facts(gcUpdate(1, syncLimits.maxClockGap, 1)))).toBeNull();
		expect(coverage.refuses(facts(gcUpdate(1, syncLimits.maxClockGap + 1, 1)))).toContain("jumps");
	});

	it("in how many ranges wait", () => {
		const coverage = new Coverage();
		const limits = { ...syncLimits, maxPendingRanges: 3 } as unknown as typeof syncLimits;
		for (const clock of [10, 20, 30]) {
			expect(coverage.refuses(facts(gcUpdate(1, clock, 1)), limits)).toBeNull();
			coverage.add(facts(gcUpdate(1, clock, 1)));
		}
		expect(coverage.refuses(facts(gcUpdate(1, 40, 1)), limits)).toContain("wait");
		coverage.add(facts(gcUpdate(1, 0, 10)));
		expect(coverage.pendingRanges).toBe(2);
		expect(coverage.refuses(facts(gcUpdate(1, 40, 1)), limits)).toBeNull();
	});
});

describe("what a room's log covers", () => {
	it("survives the store, in whatever order updates came", () => {
		const { doc, updates } = busyDocument();
		fc.assert(
			fc.property(fc.shuffledSubarray(updates, { minLength: updates.length }), (shuffled) => {
				const coverage = new Coverage();
				for (const update of shuffled) coverage.add(facts(update));
				const again = Coverage.decode(coverage.encode());
				expect(readStateVector(again.stateVector())).toEqual(Y.decodeStateVector(Y.encodeStateVector(doc)));
				expect(again.covers(facts(Y.encodeStateAsUpdate(doc)))).toBe(true);
			}),
			{ numRuns: 50 },
		);
	});

	it("does not cover a deletion that it has not seen, though the state vectors are equal (S8)", () => {
		const doc = new Y.Doc();
		doc.getText("t").insert(0, "abc");
		const coverage = new Coverage();
		coverage.add(facts(Y.encodeStateAsUpdate(doc)));
		const before = Y.encodeStateVector(doc);
		doc.getText("t").delete(1, 1);
		expect(Y.encodeStateVector(doc)).toEqual(before);
		const deletion = facts(Y.encodeStateAsUpdate(doc));
		expect(coverage.covers(deletion)).toBe(false);
		coverage.add(deletion);
		const other = new Y.Doc();
		Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
		expect(() => Y.applyUpdate(other, coverage.deleteUpdate())).not.toThrow();
	});

	it("is the same, whether ranges come at once or one by one", () => {
		const ranges = fc.array(fc.tuple(fc.nat(3_000), fc.integer({ min: 1, max: 8 })), { minLength: 60, maxLength: 300 });
		fc.assert(
			fc.property(ranges, ranges, (first, second) => {
				const atOnce = new ClockRanges();
				const oneByOne = new ClockRanges();
				for (const each of [first, second]) {
					const added = each.map(([from, length]) => ({ from, to: from + length }));
					atOnce.addAll(added);
					for (const range of added) oneByOne.add(range);
					expect(atOnce.ranges).toEqual(oneByOne.ranges);
				}
			}),
			{ numRuns: 100 },
		);
	});

	it("takes in what names many ranges in the worst of orders", () => {
		const count = 400_000;
		const writer = new Writer(count * 6);
		for (const value of [0, 1, 7, count]) writer.varUint(value);
		for (let at = count; at > 0; at--) {
			writer.varUint(at * 2);
			writer.varUint(1);
		}
		const coverage = new Coverage();
		const named = facts(writer.take());
		coverage.add(named);
		expect(coverage.covers(named)).toBe(true);
		expect(coverage.rangesWith(named)).toBe(count);
	});

	it("never claims a clock that it lacks", () => {
		fc.assert(
			fc.property(fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 8 })), { maxLength: 30 }), (ranges) => {
				const coverage = new Coverage();
				const oracle = new Set<number>();
				for (const [from, length] of ranges) {
					coverage.add(facts(gcUpdate(1, from, length)));
					for (let clock = from; clock < from + length; clock++) oracle.add(clock);
				}
				let contiguous = 0;
				while (oracle.has(contiguous)) contiguous += 1;
				const clocks = readStateVector(coverage.stateVector()) as Map<number, number>;
				expect(clocks.get(1) ?? 0).toBe(contiguous);
				for (let clock = 0; clock < 50; clock++) {
					expect(coverage.covers(facts(gcUpdate(1, clock, 1)))).toBe(oracle.has(clock));
				}
			}),
		);
	});
});
