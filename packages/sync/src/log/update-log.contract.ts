import type { Closeable } from "@warren/kernel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { snapshotChunkBytes, type UpdateLog } from "./update-log.ts";

export interface LogUnderTest extends Closeable {
	readonly log: UpdateLog;
	/** Closes it and opens what is on disk. */
	reopen(): Promise<UpdateLog>;
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const by = (...updates: Uint8Array[]) => updates.map((update) => ({ update, owner: "user:a" }));
const all = Number.MAX_SAFE_INTEGER;

/** What every implementation of `UpdateLog` keeps. */
export function updateLogContract(name: string, make: () => Promise<LogUnderTest>): void {
	describe(`${name} as an update log`, () => {
		let made: LogUnderTest;
		let log: UpdateLog;
		beforeEach(async () => {
			made = await make();
			log = made.log;
		});
		afterEach(() => made.close());

		const snapshotOf = (update: Uint8Array, upto: number) => ({ upto, update, coverage: bytes(0, 0), hash: "h" });

		it("numbers each room's updates from 1 and keeps rooms apart", async () => {
			expect(
				await log.append([
					{ room: "a", updates: by(bytes(1), bytes(2)) },
					{ room: "b", updates: by(bytes(3)) },
				]),
			).toEqual([1, 1]);
			expect(await log.append([{ room: "a", updates: by(bytes(4)) }])).toEqual([3]);
			expect((await log.read("a", 1, all)).map((each) => [each.seq, ...each.update])).toEqual([
				[2, 2],
				[3, 4],
			]);
			expect(await log.head("a")).toMatchObject({
				head: 3,
				tail: { count: 3, bytes: 3 },
				snapshot: null,
				quarantine: null,
			});
			expect(await log.head("nothing")).toMatchObject({ head: 0, snapshot: null });
			expect(await log.rooms()).toEqual(["a", "b"]);
			expect([...(await log.heads(["b", "nothing", "a"]))].sort()).toEqual([
				["a", 3],
				["b", 1],
			]);
		});

		it("has on disk what it resolved", async () => {
			await log.append([{ room: "a", updates: by(bytes(1, 2, 3)) }]);
			const again = await made.reopen();
			expect((await again.read("a", 0, all)).map((each) => [...each.update])).toEqual([[1, 2, 3]]);
		});

		it("reads as much as was asked for, and one at least", async () => {
			await log.append([{ room: "a", updates: by(...Array.from({ length: 700 }, () => new Uint8Array(10))) }]);
			expect(await log.read("a", 0, 1)).toHaveLength(1);
			expect(await log.read("a", 0, 6_000)).toHaveLength(600);
			expect(await log.read("a", 600, all)).toHaveLength(100);
		});

		it("swaps a snapshot in and the updates that it holds out, at once", async () => {
			await log.append([{ room: "a", updates: by(bytes(1), bytes(2), bytes(3)) }]);
			const update = new Uint8Array(2 * snapshotChunkBytes + 5).fill(7);
			expect(await log.compact("a", snapshotOf(update, 2), 0)).toBe(true);
			expect(await log.head("a")).toMatchObject({
				head: 3,
				tail: { count: 1, bytes: 1 },
				snapshot: { upto: 2, bytes: update.length, hash: "h" },
			});
			expect((await log.snapshot("a"))?.length).toBe(update.length);
			expect((await log.read("a", 0, all)).map((each) => each.seq)).toEqual([3]);
			expect(await log.compact("a", snapshotOf(bytes(1), 3), 0)).toBe(false);
			expect(await log.compact("a", snapshotOf(bytes(1), 9), 2)).toBe(false);
			expect((await log.snapshot("a"))?.length).toBe(update.length);
			expect(await log.compact("a", snapshotOf(bytes(1), 3), 2)).toBe(true);
			expect(await log.append([{ room: "a", updates: by(bytes(9)) }])).toEqual([4]);
		});

		it("keeps checkpoints, the newest ones", async () => {
			expect(await log.checkpoint("a", "periodic", 1, 2)).toBeNull();
			await log.append([{ room: "a", updates: by(bytes(1)) }]);
			await log.compact("a", snapshotOf(bytes(1), 1), 0);
			const first = await log.checkpoint("a", "periodic", 10, 2);
			for (const at of [20, 30]) await log.checkpoint("a", "periodic", at, 2);
			const listed = await log.checkpoints("a");
			expect(listed.map((each) => each.at)).toEqual([30, 20]);
			expect(await log.checkpointUpdate("a", listed[0]?.id ?? -1)).toEqual(bytes(1));
			expect(await log.checkpointUpdate("a", first?.id ?? -1)).toBeNull();
			expect(await log.checkpointUpdate("b", listed[0]?.id ?? -1)).toBeNull();
		});

		it("remembers a quarantine, and drops everything of a room", async () => {
			await log.append([
				{ room: "a", updates: by(bytes(1)) },
				{ room: "b", updates: by(bytes(2)) },
			]);
			await log.quarantine("a", "poisoned");
			expect((await log.head("a")).quarantine).toBe("poisoned");
			await log.quarantine("a", null);
			expect((await log.head("a")).quarantine).toBeNull();
			await log.drop("a");
			expect(await log.head("a")).toMatchObject({ head: 0 });
			expect(await log.read("b", 0, all)).toHaveLength(1);
		});
	});
}
