import type { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { KeyValue, KeyValueChange } from "./key-value.ts";

export interface KeyValueUnderTest {
	readonly keyValue: KeyValue;
	/** Moves the store's time on; a store with a clock of its own waits. */
	readonly advance: (ms: number) => Promise<void>;
	readonly close: () => Promise<void>;
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array | undefined) => (value === undefined ? undefined : new TextDecoder().decode(value));

/** What every key-value store of this product does, whatever it is made of. */
export function keyValueContract(name: string, make: () => Promise<KeyValueUnderTest>): void {
	describe(`${name} as a key-value store`, () => {
		let under: KeyValueUnderTest;
		let store: KeyValue;
		beforeEach(async () => {
			under = await make();
			store = under.keyValue;
		});
		afterEach(() => under.close());

		it("gives what was put, with a revision that grows with every change of any key", async () => {
			expect(await store.get("a.1")).toBeNull();
			const first = await store.put("a.1", bytes("one"));
			const other = await store.put("a.2", bytes("other"));
			const second = await store.put("a.1", bytes("two"));
			expect(first < other && other < second).toBe(true);
			const entry = await store.get("a.1");
			expect([entry?.key, text(entry?.value), entry?.revision]).toEqual(["a.1", "two", second]);
		});

		it("keeps a value as it was when it was put", async () => {
			const value = bytes("before");
			await store.put("a", value);
			value.set(bytes("AFTER!"));
			const got = await store.get("a");
			expect(text(got?.value)).toBe("before");
			got?.value.set(bytes("CHANGE"));
			expect(text((await store.get("a"))?.value)).toBe("before");
		});

		it("lists a prefix by key, and no neighbour", async () => {
			for (const key of ["agents.web.2", "agents.web.1", "agents.webby.1", "agents.db.1", "agents"])
				await store.put(key, bytes(key));
			expect((await store.list("agents.web.")).map(({ key }) => key)).toEqual(["agents.web.1", "agents.web.2"]);
			expect((await store.list("agents.")).length).toBe(4);
			expect(await store.list("nothing.")).toEqual([]);
		});

		it("compares and sets: of many who try at once, one wins", async () => {
			const created = await Promise.all(
				Array.from({ length: 10 }, (_, index) => store.compareAndSet("lock", bytes(String(index)), 0)),
			);
			expect(created.filter((revision) => revision !== null).length).toBe(1);
			const { revision = 0 } = (await store.get("lock")) ?? {};
			expect(await store.compareAndSet("lock", bytes("x"), revision + 1000)).toBeNull();
			const next = await store.compareAndSet("lock", bytes("x"), revision);
			expect(next).toBeGreaterThan(revision);
			expect(await store.compareAndSet("lock", bytes("y"), revision)).toBeNull();
			await store.delete("lock");
			expect(await store.compareAndSet("lock", bytes("y"), next ?? 0)).toBeNull();
			expect(await store.compareAndSet("lock", bytes("y"), 0)).toBeGreaterThan(next ?? 0);
		});

		it("forgets what was deleted; deleting again is nothing", async () => {
			await store.put("a", bytes("x"));
			await store.delete("a");
			await store.delete("a");
			expect(await store.get("a")).toBeNull();
		});

		it("lets a lease run out, unless it is put again; a put without one makes it stay", async () => {
			await store.put("dies", bytes("x"), { ttlMs: 1000 });
			await store.put("renewed", bytes("x"), { ttlMs: 1000 });
			await store.put("stays", bytes("x"), { ttlMs: 1000 });
			expect(await store.compareAndSet("set", bytes("x"), 0, { ttlMs: 1000 })).not.toBeNull();
			await under.advance(600);
			await store.put("renewed", bytes("x"), { ttlMs: 1000 });
			await store.put("stays", bytes("x"));
			await under.advance(600);
			const alive = async (key: string) => (await store.get(key)) !== null;
			expect([await alive("dies"), await alive("set")]).toEqual([false, false]);
			expect([await alive("renewed"), await alive("stays")]).toEqual([true, true]);
			await under.advance(600);
			expect([await alive("renewed"), await alive("stays")]).toEqual([false, true]);
		});

		it("shows a watcher first what stands, then every change, in order, deletions and expiries among them", async () => {
			await store.put("w.1", bytes("old"));
			await store.put("x.1", bytes("elsewhere"));
			const seen: KeyValueChange[] = [];
			let enough: () => void = () => {};
			const all = new Promise<void>((resolve) => {
				enough = resolve;
			});
			const watch = await store.watch("w.", (change) => {
				seen.push(change);
				if (seen.length === 6) enough();
			});
			await store.put("w.2", bytes("new"));
			await store.put("w.1", bytes("newer"));
			await store.put("x.1", bytes("elsewhere"));
			await store.put("w.3", bytes("lease"), { ttlMs: 1000 });
			await store.delete("w.2");
			await under.advance(1500);
			await all;
			const facts = seen.map((change) =>
				change.kind === "put" ? [change.entry.key, text(change.entry.value)] : [change.key, null],
			);
			expect(facts).toEqual([
				["w.1", "old"],
				["w.2", "new"],
				["w.1", "newer"],
				["w.3", "lease"],
				["w.2", null],
				["w.3", null],
			]);
			const revisions = seen.map((change) => (change.kind === "put" ? change.entry.revision : change.revision));
			expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
			await watch.close();
			await store.put("w.4", bytes("unseen"));
			await store.get("w.4");
			expect(seen.length).toBe(6);
		});

		it("keeps watchers from one another: one that throws hides nothing from the next, nor fails the put", async () => {
			const seen: string[] = [];
			await store.watch("t.", () => {
				throw new Error("a watcher's own fault");
			});
			let heard: () => void = () => {};
			const second = new Promise<void>((resolve) => {
				heard = resolve;
			});
			await store.watch("t.", (change) => {
				if (change.kind === "put") seen.push(change.entry.key);
				heard();
			});
			await store.put("t.1", bytes("x"));
			await second;
			expect(seen).toEqual(["t.1"]);
		});
	});
}

/** For stores that take a clock. */
export function onVirtualTime(clock: VirtualClock, keyValue: KeyValue): KeyValueUnderTest {
	return { keyValue, advance: (ms) => clock.advance(ms), close: async () => void (await keyValue.close()) };
}
