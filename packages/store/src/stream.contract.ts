import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { maxStreamMessageBytes, type Stream, type StreamMessage, type StreamOptions } from "./stream.ts";

export interface StreamUnderTest {
	/** The same stream again, as another process would open it. */
	readonly reopen: () => Promise<Stream>;
	readonly stream: Stream;
	/** Moves time on, where the stream takes a clock of ours; else waits. */
	readonly advance: (ms: number) => Promise<void>;
	readonly close: () => Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
export const contractStream: StreamOptions = { maxBytes: 1_000_000, maxAgeMs: 3_600_000, duplicateWindowMs: 60_000 };

/** What every stream of this product does. */
export function streamContract(name: string, make: () => Promise<StreamUnderTest>): void {
	describe(`${name} as a stream`, () => {
		let under: StreamUnderTest;
		let stream: Stream;
		beforeEach(async () => {
			under = await make();
			stream = under.stream;
		});
		afterEach(() => under.close());

		/** Reads until `count` messages have come. */
		const collect = async (
			from: Stream,
			reader: string,
			count: number,
			take: (m: StreamMessage) => void = () => {},
		) => {
			const got: string[] = [];
			let enough: () => void = () => {};
			const all = new Promise<void>((resolve) => {
				enough = resolve;
			});
			const reading = await from.read(reader, (message) => {
				take(message);
				got.push(`${message.seq} ${message.subject} ${text(message.data)}`);
				if (got.length >= count) enough();
			});
			return { got, all, reading };
		};

		it("brings each reader every message, in order, those from before it came among them", async () => {
			expect(await stream.append("a.b", bytes("1"))).toEqual({ seq: 1, duplicate: false });
			await stream.append("a.c", bytes("2"));
			const one = await collect(stream, "one", 3);
			const two = await collect(stream, "two", 3);
			await stream.append("a.b", bytes("3"));
			await Promise.all([one.all, two.all]);
			expect(one.got).toEqual(["1 a.b 1", "2 a.c 2", "3 a.b 3"]);
			expect(two.got).toEqual(one.got);
		});

		it("stores a message once that is offered twice with the same id", async () => {
			const first = await stream.append("a", bytes("1"), { id: "x" });
			expect(await stream.append("a", bytes("1"), { id: "x" })).toEqual({ seq: first.seq, duplicate: true });
			expect((await stream.append("a", bytes("2"), { id: "y" })).duplicate).toBe(false);
			const { got, all } = await collect(stream, "r", 2);
			await all;
			expect(got).toEqual(["1 a 1", "2 a 2"]);
		});

		it("keeps a reader's place: another that opens it later gets what is left", async () => {
			for (const each of ["1", "2", "3"]) await stream.append("a", bytes(each));
			const { all, reading } = await collect(stream, "r", 3);
			await all;
			await reading.close();
			const again = await under.reopen();
			await again.append("a", bytes("4"), { id: "4" });
			const later = await collect(again, "r", 1);
			await later.all;
			expect(later.got).toEqual(["4 a 4"]);
			await again.close();
		});

		it("gives again what was rejected, and nothing after it before", async () => {
			await stream.append("a", bytes("1"));
			await stream.append("a", bytes("2"));
			const attempts: number[] = [];
			const { got, all } = await collect(stream, "r", 2, (message) => {
				attempts.push(message.attempt);
				if (attempts.length === 1) throw new Error("not now");
			});
			await under.advance(1_500);
			await all;
			expect(got).toEqual(["1 a 1", "2 a 2"]);
			expect(attempts).toEqual([1, 2, 1]);
		});

		it("shares a reader's messages among those that read under its name", async () => {
			let count = 0;
			let enough: () => void = () => {};
			const all = new Promise<void>((resolve) => {
				enough = resolve;
			});
			const got: string[][] = [[], []];
			for (const each of got) {
				await stream.read("r", (message) => {
					each.push(text(message.data));
					count += 1;
					if (count === 20) enough();
				});
			}
			for (let index = 0; index < 20; index++) await stream.append("a", bytes(String(index)));
			await all;
			const both = got.flat().map(Number);
			expect(both.sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
		});

		it("refuses a message at the limit + 1, and takes one at the limit", async () => {
			expect((await stream.append("a", new Uint8Array(maxStreamMessageBytes))).seq).toBe(1);
			await expect(stream.append("a", new Uint8Array(maxStreamMessageBytes + 1))).rejects.toMatchObject({
				code: "message_too_large",
			});
		});

		it("lets the oldest go above its bytes", async () => {
			const large = new Uint8Array(400_000);
			for (let index = 0; index < 4; index++) await stream.append("a", large);
			await stream.append("a", bytes("last"));
			const seqs: number[] = [];
			const { all } = await collect(stream, "r", 3, (message) => seqs.push(message.seq));
			await all;
			expect(seqs).toEqual([3, 4, 5]);
		});
	});
}
