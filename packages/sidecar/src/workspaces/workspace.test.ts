import { systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { applyUpdate, Doc, encodeStateAsUpdate, Array as YArray, type Map as YMap, Text as YText } from "yjs";
import { actionsOf, findAction } from "./actions.ts";
import { workspaceOpenApi } from "./openapi.ts";
import { schemaLimits } from "./schema.ts";
import { Workspace } from "./workspace.ts";

const clock = new VirtualClock();
const open = (doc = new Doc(), readOnly = false) => new Workspace(doc, { clock, random: systemRandom, readOnly });
const books = {
	columns: {
		title: { type: "text", required: true },
		pages: { type: "number" },
		state: { type: "select", options: ["new", "read"] },
		author: { type: "reference", table: "authors" },
	},
};
const query = { limit: 10, filter: {} };

function library(doc = new Doc()): Workspace {
	const workspace = open(doc);
	workspace.defineTable("authors", { columns: { name: { type: "text", required: true } } });
	workspace.defineTable("books", books);
	return workspace;
}

describe("a workspace", () => {
	it("keeps rows that fit its schema and says why others do not", () => {
		const workspace = library();
		const row = workspace.insert("books", { title: "Watership Down", pages: 478 });
		expect(workspace.row("books", row.id)).toMatchObject({ title: "Watership Down", pages: 478 });
		expect(() => workspace.insert("books", { pages: 3 })).toThrow(/title/);
		expect(() => workspace.insert("books", { title: "x", pages: "many" })).toThrow(/pages.*many/);
		expect(() => workspace.insert("books", { title: "x", state: "lost" })).toThrow(/state/);
		expect(() => workspace.insert("books", { title: "x", colour: "red" })).toThrow(/colour/);
		expect(() => workspace.insert("books", { title: "x", author: "nobody" })).toThrow(/nobody/);
		expect(() => workspace.insert("films", {})).toThrow(/films/);
	});

	it("takes JSON that is nested so deep, refuses what is deeper, and shows the others' rows beside one of a foreign device", () => {
		const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);
		const doc = new Doc();
		const workspace = open(doc);
		workspace.defineTable("facts", { columns: { value: { type: "json" } } });
		const value = nested(schemaLimits.maxJsonDepth);
		expect(workspace.insert("facts", { value })["value"]).toEqual(value);
		const tooDeep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as unknown;
		for (const deep of [nested(schemaLimits.maxJsonDepth + 1), tooDeep])
			for (const input of [{ value: deep }, { other: deep }])
				expect(() => workspace.insert("facts", input)).toThrow(/at most 100 deep/);
		doc.getMap("rows:facts").set("foreign", { value: nested(6000) });
		const { rows } = workspace.rows("facts", query);
		expect(rows.map(({ id }) => id)).toContain("foreign");
		expect(JSON.stringify(rows)).toContain("…");
	});

	it("merges changes of different columns of one row that were made apart", () => {
		const here = new Doc();
		const workspace = library(here);
		const { id } = workspace.insert("books", { title: "Draft", pages: 1 });
		const there = new Doc();
		applyUpdate(there, encodeStateAsUpdate(here));
		workspace.update("books", id, { title: "Final" });
		open(there).update("books", id, { pages: 200 });
		applyUpdate(here, encodeStateAsUpdate(there));
		applyUpdate(there, encodeStateAsUpdate(here));
		for (const doc of [here, there]) expect(open(doc).row("books", id)).toMatchObject({ title: "Final", pages: 200 });
	});

	it("pages, filters and sorts; every row appears once", () => {
		const workspace = library();
		for (let pages = 0; pages < 25; pages++)
			workspace.insert("books", { title: `b${pages}`, pages, state: pages % 2 === 0 ? "new" : "read" });
		const seen: unknown[] = [];
		for (let after: string | undefined; ; ) {
			const page = workspace.rows("books", {
				...query,
				limit: 7,
				sort: { column: "pages", descending: true },
				...(after === undefined ? {} : { after }),
			});
			seen.push(...page.rows.map((row) => row["pages"]));
			if (page.next === null) break;
			after = page.next;
		}
		expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => 24 - index));
		expect(workspace.rows("books", { ...query, filter: { state: "read" } })).toMatchObject({ total: 12 });
		expect(() => workspace.rows("books", { ...query, filter: { nope: "1" } })).toThrow(/nope/);
	});

	it("empties a column with null, and refuses that for a required one", () => {
		const workspace = library();
		const { id } = workspace.insert("books", { title: "t", pages: 1 });
		expect(workspace.update("books", id, { pages: null })["pages"]).toBeUndefined();
		expect(() => workspace.update("books", id, { title: null })).toThrow(/title/);
	});

	it("changes nothing for a reader", () => {
		const doc = new Doc();
		library(doc).insert("books", { title: "t" });
		const reader = open(doc, true);
		const before = encodeStateAsUpdate(doc);
		expect(() => reader.insert("books", { title: "u" })).toThrow(/reading/);
		expect(() => reader.defineTable("x", { columns: {} })).toThrow(/reading/);
		expect(encodeStateAsUpdate(doc)).toEqual(before);
	});

	it("has no table and no column that only its language knows", () => {
		const workspace = library();
		for (const name of ["constructor", "toString", "__proto__"]) {
			expect(() => workspace.rows(name, query)).toThrow(/no table/);
			expect(() => workspace.insert(name, {})).toThrow(/no table/);
			expect(() => workspace.rows("books", { ...query, filter: { [name]: "1" } })).toThrow(/no (column|table)/);
			expect(() => workspace.rows("books", { ...query, sort: { column: name, descending: false } })).toThrow(
				/no column/,
			);
		}
	});

	it("shows its rows whatever a client that is not ours has put among them", () => {
		const doc = new Doc();
		const workspace = library(doc);
		const { id } = workspace.insert("books", { title: "Watership Down" });
		const rows = doc.getMap<unknown>("rows:books");
		for (const [name, value] of Object.entries({
			word: "x",
			none: null,
			list: new YArray(),
			text: new YText("y"),
			bytes: new Uint8Array(2),
		}))
			rows.set(name, value);
		rows.set("plain", { title: "Plain", pages: 2n ** 60n });
		(rows.get(id) as YMap<unknown>).set("pages", { deep: [2n ** 60n] });
		const listed = workspace.rows("books", { ...query, sort: { column: "pages", descending: false } });
		expect(listed.total).toBe(7);
		expect(JSON.parse(JSON.stringify(listed.rows))).toEqual(
			expect.arrayContaining([
				expect.objectContaining({ id, title: "Watership Down", pages: { deep: [String(2n ** 60n)] } }),
				{ id: "plain", title: "Plain", pages: String(2n ** 60n), created_at: "", updated_at: "" },
				{ id: "word", created_at: "", updated_at: "" },
			]),
		);
		workspace.update("books", "plain", { pages: 3 });
		expect(workspace.row("books", "plain")).toMatchObject({ title: "Plain", pages: 3 });
		workspace.delete("books", "word");
		expect(workspace.rows("books", query).total).toBe(6);
	});

	it("refuses table definitions that would collide, and names that are none", () => {
		const workspace = open();
		expect(() => workspace.defineTable("Books!", books)).toThrow(/lower-case/);
		expect(() => workspace.defineTable("t", { columns: { id: { type: "text" } } })).toThrow(/"id"/);
		expect(() => workspace.defineTable("t", { columns: { a: { type: "blob" } } })).toThrow(/columns\.a/);
	});

	it("offers five actions for each table, which do what they say", () => {
		const workspace = library();
		expect(actionsOf(workspace).map((action) => action.name)).toContain("books_update");
		expect(actionsOf(workspace)).toHaveLength(10);
		const created = findAction(workspace, "books_create").run(workspace, { title: "By action" }) as { id: string };
		findAction(workspace, "books_update").run(workspace, { id: created.id, pages: 9 });
		expect(findAction(workspace, "books_list").run(workspace, { filter: { title: "By action" } })).toMatchObject({
			total: 1,
			rows: [{ pages: 9 }],
		});
		findAction(workspace, "books_delete").run(workspace, { id: created.id });
		expect(() => findAction(workspace, "books_get").run(workspace, { id: created.id })).toThrow(/no row/);
		expect(() => findAction(workspace, "books_burn")).toThrow(/books_burn/);
	});

	it("describes itself as OpenAPI", () => {
		const facts = { id: "w1", kind: "workspace", name: "Library", createdAt: 0, updatedAt: 0, readOnly: false };
		const api = workspaceOpenApi(facts, library());
		expect(Object.keys(api["paths"] as object)).toContain("/workspaces/w1/tables/books/rows");
		expect(JSON.stringify(api)).toContain('"required":["title"]');
	});
});
