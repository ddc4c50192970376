import { describe, expect, it } from "vitest";
import { ApiError } from "./exchange.ts";
import type { DocumentRecord } from "./hub-types.ts";
import { isAway, maxPendingDocuments, PendingDocuments } from "./pending-documents.ts";

const away = () => new ApiError(503, { error: "hub_away" });

function storage() {
	const kept = new Map<string, string>();
	return {
		kept,
		getItem: (key: string) => kept.get(key) ?? null,
		setItem: (key: string, value: string) => void kept.set(key, value),
		removeItem: (key: string) => void kept.delete(key),
	};
}

/** A hub that knows titles. */
function hub(titles: Record<string, string> = {}) {
	const asked: string[] = [];
	let fault: ApiError | null = null;
	return {
		titles,
		asked,
		fail: (next: ApiError | null) => {
			fault = next;
		},
		ask: async (path: string, options: { method: string; body?: unknown }) => {
			asked.push(`${options.method} ${path}`);
			if (fault !== null) throw fault;
			if (options.method === "DELETE") {
				const gone = decodeURIComponent(path.slice("/rooms/".length));
				if (titles[gone] === undefined) throw new ApiError(404, { error: "unknown_document" });
				delete titles[gone];
				return;
			}
			const body = options.body as { id?: string; title: string };
			const id = body.id ?? decodeURIComponent(path.slice("/rooms/".length));
			if (options.method === "POST" && titles[id] !== undefined) throw new ApiError(409, { error: "document_exists" });
			if (options.method === "PATCH" && titles[id] === undefined)
				throw new ApiError(404, { error: "unknown_document" });
			titles[id] = body.title;
		},
	};
}

const record = (id: string, title: string): DocumentRecord => ({
	...{ id, title, owner: "ada", access: "owner" },
	...{ createdAt: 1, updatedAt: 1 },
});

describe("documents made, renamed and deleted without the hub", () => {
	it("stand in the list at once, over a reload, and reach the hub in order", async () => {
		const store = storage();
		const first = new PendingDocuments(store);
		first.put("ada", { id: "new", title: "Untitled", made: true, at: 5 });
		first.put("ada", { id: "new", title: "Field notes", made: false, at: 6 });
		first.put("ada", { id: "old", title: "Renamed", made: false, at: 7 });
		const again = new PendingDocuments(store);
		expect(again.isMade("ada", "new")).toBe(true);
		expect(again.isMade("ada", "old")).toBe(false);
		expect(again.list("bob")).toEqual([]);
		const shown = again.applied("ada", [record("old", "Old"), record("other", "Other")]);
		expect(shown.map((each) => [each.id, each.title, each.access])).toEqual([
			["new", "Field notes", "owner"],
			["old", "Renamed", "owner"],
			["other", "Other", "owner"],
		]);
		const there = hub({ old: "Old" });
		await again.settle("ada", there.ask);
		expect(there.titles).toEqual({ new: "Field notes", old: "Renamed" });
		expect([...store.kept.keys()]).toEqual([]);
	});

	it("wait while the hub is away, and while nobody is signed in", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "new", title: "New", made: true, at: 5 });
		const there = hub();
		for (const fault of [
			away(),
			new ApiError(0, {}),
			new ApiError(401, { error: "unauthorized" }),
			new ApiError(429, {}),
		]) {
			there.fail(fault);
			await expect(pending.settle("ada", there.ask)).rejects.toBe(fault);
			expect(pending.list("ada")).toHaveLength(1);
		}
		there.fail(null);
		await pending.settle("ada", there.ask);
		expect(there.titles).toEqual({ new: "New" });
	});

	it("take their title to a document whose text came first, or whose answer was lost", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "new", title: "New", made: true, at: 5 });
		const there = hub({ new: "new" });
		await pending.settle("ada", there.ask);
		expect(there.asked).toEqual(["POST /rooms", "PATCH /rooms/new"]);
		expect(there.titles).toEqual({ new: "New" });
	});

	it("let go what the hub refuses for good, and go on with the rest", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "gone", title: "Gone", made: false, at: 5 });
		pending.put("ada", { id: "new", title: "New", made: true, at: 6 });
		const there = hub();
		await pending.settle("ada", there.ask);
		expect(there.titles).toEqual({ new: "New" });
		expect(pending.list("ada")).toEqual([]);
	});

	it("are deleted in sight, until the hub has been told", async () => {
		const store = storage();
		const pending = new PendingDocuments(store);
		pending.delete("ada", "old", 5);
		pending.put("ada", { id: "new", title: "New", made: true, at: 6 });
		pending.delete("ada", "new", 7);
		const again = new PendingDocuments(store);
		const shown = again.applied("ada", [record("old", "Old"), record("other", "Other")]);
		expect(shown.map((each) => [each.id, each.title, each.deletionWaits])).toEqual([
			["new", "New", true],
			["old", "Old", true],
			["other", "Other", undefined],
		]);
		const there = hub({ old: "Old", other: "Other" });
		there.fail(away());
		const gone: string[] = [];
		const settle = () => again.settle("ada", there.ask, (id) => gone.push(id));
		await expect(settle()).rejects.toThrow();
		expect(again.list("ada")).toHaveLength(2);
		there.fail(null);
		await settle();
		// One that the hub never had is as gone.
		expect(there.titles).toEqual({ other: "Other" });
		expect(gone).toEqual(["old", "new"]);
		expect(again.applied("ada", [record("other", "Other")])).toEqual([record("other", "Other")]);
	});

	it("are kept after all, with what waited for them before", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "renamed", title: "Renamed", made: false, at: 4 });
		pending.put("ada", { id: "new", title: "New", made: true, at: 5 });
		for (const id of ["renamed", "new", "old"]) pending.delete("ada", id, 6);
		const waiting = pending.applied("ada", [record("old", "Old"), record("renamed", "Before")]);
		for (const id of ["renamed", "new", "old", "never"]) pending.undelete("ada", id);
		const shown = pending.applied("ada", waiting);
		expect(shown.map((each) => [each.id, each.title, each.deletionWaits])).toEqual([
			["new", "New", undefined],
			["old", "Old", undefined],
			["renamed", "Renamed", undefined],
		]);
		const there = hub({ old: "Old", renamed: "Before" });
		await pending.settle("ada", there.ask);
		expect(there.asked).toEqual(["PATCH /rooms/renamed", "POST /rooms"]);
		expect(there.titles).toEqual({ old: "Old", renamed: "Renamed", new: "New" });
	});

	it("stay where the hub refuses to delete them", async () => {
		const pending = new PendingDocuments(storage());
		pending.delete("ada", "theirs", 5);
		const there = hub({ theirs: "Theirs" });
		there.fail(new ApiError(403, { error: "forbidden" }));
		await pending.settle("ada", there.ask, () => expect.unreachable());
		expect(pending.applied("ada", [record("theirs", "Theirs")])).toEqual([record("theirs", "Theirs")]);
	});

	it("keep a deletion that comes while the hub is being told of them", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "new", title: "New", made: true, at: 5 });
		const there = hub();
		await pending.settle("ada", async (path, options) => {
			await there.ask(path, options);
			pending.delete("ada", "new", 6);
		});
		expect(there.titles).toEqual({ new: "New" });
		await pending.settle("ada", there.ask);
		expect(there.titles).toEqual({});
		expect(pending.list("ada")).toEqual([]);
	});

	it("read what a version that could not delete has left", () => {
		const store = storage();
		store.setItem(
			"warren.documents.pending.v1.ada",
			JSON.stringify([
				{ id: "a", title: "A", made: true, at: 1 },
				{ id: "b", title: null, made: true, at: 1 },
			]),
		);
		expect(new PendingDocuments(store).list("ada")).toEqual([
			{ id: "a", title: "A", made: true, deleted: false, at: 1 },
		]);
	});

	it("keep a rename that comes while the hub is being told", async () => {
		const pending = new PendingDocuments(storage());
		pending.put("ada", { id: "new", title: "One", made: true, at: 5 });
		const there = hub();
		await pending.settle("ada", async (path, options) => {
			await there.ask(path, options);
			pending.put("ada", { id: "new", title: "Two", made: false, at: 6 });
		});
		expect(there.titles).toEqual({ new: "One" });
		expect(pending.list("ada")).toEqual([{ id: "new", title: "Two", made: false, deleted: false, at: 6 }]);
		await pending.settle("ada", there.ask);
		expect(there.titles).toEqual({ new: "Two" });
	});

	it("are so many at most, and survive a store that holds something else", () => {
		const store = storage();
		store.setItem("warren.documents.pending.v1.ada", '[7,{"id":"x"},null]');
		const pending = new PendingDocuments(store);
		expect(pending.list("ada")).toEqual([]);
		for (let i = 0; i < maxPendingDocuments; i++) pending.put("ada", { id: `d${i}`, title: "t", made: true, at: i });
		expect(() => pending.put("ada", { id: "more", title: "t", made: true, at: 0 })).toThrow("500 documents wait");
		pending.put("ada", { id: "d1", title: "renamed", made: false, at: 0 });
		store.setItem("warren.documents.pending.v1.ada", "{");
		expect(pending.list("ada")).toEqual([]);
	});

	it("are for a hub that is away, not for one that says no", () => {
		expect([0, 502, 503, 504].map((status) => isAway(new ApiError(status, {})))).toEqual([true, true, true, true]);
		expect([400, 401, 403, 404, 409, 429, 500].some((status) => isAway(new ApiError(status, {})))).toBe(false);
		expect(isAway(new Error("x"))).toBe(false);
	});
});
