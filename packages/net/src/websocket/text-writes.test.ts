import { describe, expect, it } from "vitest";
import { type Frame, frameText } from "./frame.ts";
import { type TextWriter, TextWrites } from "./text-writes.ts";

/** One of many, as a socket is: it joins the line with the first that it is sent. */
class Writer implements TextWriter {
	readonly isPlain = true;
	readonly writes: string[] = [];
	readonly #all: TextWrites;
	#pending: string[] = [];
	#turn = -1;

	constructor(all: TextWrites) {
		this.#all = all;
	}

	send(text: string): void {
		this.#all.counted(this.#turn === this.#all.turn);
		this.#turn = this.#all.turn;
		if (this.#pending.push(text) === 1) this.#all.addAlone(this);
	}

	sendShared(text: string): void {
		if (this.#pending.push(text) === 1) this.#all.add(this);
	}

	takePending(): readonly (Frame | string)[] {
		const pending = this.#pending;
		this.#pending = [];
		return pending;
	}

	write(bytes: Buffer | string): void {
		this.writes.push(bytes.toString());
	}
}

const turn = () => new Promise(setImmediate);
const writersOf = (all: TextWrites, count: number) => Array.from({ length: count }, () => new Writer(all));
const written = (writers: readonly Writer[]) => writers.filter(({ writes }) => writes.length > 0).length;

describe("writes of a turn", () => {
	it("many texts to a few sockets are one write each, at the turn's end, in every turn", async () => {
		const all = new TextWrites();
		const writers = writersOf(all, 20);
		for (let round = 1; round <= 3; round += 1) {
			for (const text of ["a", "b", "c"]) for (const writer of writers) writer.send(text);
			expect(written(writers)).toBe(round === 1 ? 0 : 20);
			await turn();
			for (const { writes } of writers) expect(writes).toEqual(Array(round).fill(frameText(["a", "b", "c"])));
		}
	});

	it("of single texts to many the first goes out while the turn lasts, once a turn was like that", async () => {
		const all = new TextWrites();
		const writers = writersOf(all, 100);
		for (const writer of writers) writer.send("first");
		expect(written(writers)).toBe(0);
		await turn();
		for (const writer of writers) {
			writer.send("second");
			// What comes for one that still waits goes along.
			writer.sendShared("third");
		}
		const early = writers.filter(({ writes }) => writes.length === 2);
		expect(early.length).toBeGreaterThan(80);
		expect(early).toEqual(writers.slice(0, early.length));
		await turn();
		for (const { writes } of writers) expect(writes).toEqual([frameText(["first"]), frameText(["second", "third"])]);
	});

	it("what all are sent waits for the turn's end, whatever the turn before was like", async () => {
		const all = new TextWrites();
		const writers = writersOf(all, 100);
		for (const writer of writers) writer.send("alone");
		await turn();
		for (const text of ["one", "two"]) for (const writer of writers) writer.sendShared(text);
		expect(writers.every(({ writes }) => writes.length === 1)).toBe(true);
		await turn();
		for (const { writes } of writers) expect(writes).toEqual([frameText(["alone"]), frameText(["one", "two"])]);
	});

	it("a turn in which texts follow each other ends it", async () => {
		const all = new TextWrites();
		const writers = writersOf(all, 20);
		for (const writer of writers) writer.send("alone");
		await turn();
		// Written to early, and sent to again.
		for (const text of ["a", "b"]) for (const writer of writers) writer.send(text);
		await turn();
		for (const text of ["c", "d"]) for (const writer of writers) writer.send(text);
		const before = writers.map(({ writes }) => writes.length);
		await turn();
		expect(writers.map(({ writes }, index) => writes.length - (before[index] as number))).toEqual(Array(20).fill(1));
		for (const { writes } of writers) expect(writes.at(-1)).toBe(frameText(["c", "d"]));
	});
});
