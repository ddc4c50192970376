import { Validator } from "@seriousme/openapi-schema-validator";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { parseHubConfig } from "../config/hub-config.ts";
import { openHub } from "../hub/hub-role.ts";

/** Workspaces over HTTP, and each answer held against what the workspace's own description says of it. */
const deps = { clock: systemClock, random: systemRandom, logger: silentLogger };
type Json = any;
interface Answer {
	readonly status: number;
	readonly body: Json;
}

let folder: ReturnType<typeof tempFolder>;
let hub: Awaited<ReturnType<typeof openHub>>;
let base: string;
let token: string;

async function call(method: string, path: string, body?: unknown, as = token): Promise<Answer> {
	const answer = await fetch(`${base}${path}`, {
		method,
		headers: {
			...(as === "" ? {} : { authorization: `Bearer ${as}` }),
			...(body === undefined ? {} : { "content-type": "application/json" }),
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

beforeAll(async () => {
	folder = tempFolder("workspaces");
	hub = await openHub(deps, parseHubConfig({ data: folder.file("data"), port: 0, http: true, workspaces: true }, {}));
	base = `http://127.0.0.1:${hub.listener.port}`;
	const signed = await fetch(`${base}/auth/signup`, {
		method: "POST",
		headers: { "content-type": "application/json", "x-warren-setup": hub.ready.setupUrl?.split("#setup=")[1] ?? "" },
		body: JSON.stringify({ name: "Ada", email: "ada@example.test", password: "correct horse battery" }),
	});
	token = ((await signed.json()) as { token: string }).token;
});
afterAll(async () => {
	await hub?.close();
	folder?.[Symbol.dispose]();
});

const everyKind = {
	title: { type: "text", required: true },
	pages: { type: "number" },
	lent: { type: "boolean" },
	bought: { type: "date" },
	state: { type: "select", options: ["new", "read"] },
	marks: { type: "tags" },
	author: { type: "reference", table: "authors" },
	more: { type: "json" },
};
const library = {
	name: "Library",
	tables: { authors: { columns: { name: { type: "text", required: true } } }, books: { columns: everyKind } },
};
const refusal = z.object({ error: z.string(), message: z.string().min(10), retryable: z.boolean() });

/** Asks as the description says, and holds the answer to the schema that stands there for it. */
async function described(api: Json, method: string, path: string, body?: unknown): Promise<Answer> {
	const [where = "", question = ""] = path.split("?");
	const template = Object.keys(api.paths).find((each) =>
		new RegExp(`^${each.replace(/\{[^}]+\}/g, "[^/]+")}$`).test(where),
	);
	const operation = api.paths[template ?? ""]?.[method.toLowerCase()];
	if (operation === undefined) throw new Error(`${method} ${path} is not described`);
	const asked = [...new URLSearchParams(question).keys()];
	expect(operation.parameters.map(({ name }: { name: string }) => name)).toEqual(expect.arrayContaining(asked));
	const answer = await call(method, path, body);
	const responses = operation.responses as Record<string, Json>;
	const said = responses[answer.status] ?? (answer.status < 300 ? responses["2XX"] : responses["default"]);
	const schema = said.content?.["application/json"].schema;
	if (schema === undefined) expect(answer.body, `${method} ${path}`).toBeNull();
	else {
		const whole = JSON.stringify({ ...schema, $defs: api.components.schemas });
		const resolved = z.fromJSONSchema(JSON.parse(whole.replaceAll("#/components/schemas/", "#/$defs/")));
		expect(resolved.safeParse(answer.body).error?.issues, `${method} ${path} ${answer.status}`).toBeUndefined();
	}
	if (answer.status >= 400) refusal.parse(answer.body);
	return answer;
}

describe("a workspace over HTTP", () => {
	it("is made with its tables, listed, renamed, and gone when deleted; half of one is none", async () => {
		const made = await call("POST", "/workspaces", library);
		expect([made.status, Object.keys(made.body.tables)]).toEqual([201, ["authors", "books"]]);
		const path = `/workspaces/${made.body.id}`;
		expect((await call("PATCH", path, { name: "Books" })).body).toMatchObject({ id: made.body.id, name: "Books" });
		expect((await call("GET", "/workspaces")).body.workspaces).toMatchObject([{ id: made.body.id, name: "Books" }]);
		expect((await call("PUT", `${path}/tables/films`, { columns: { name: { type: "text" } } })).status).toBe(200);
		expect(Object.keys((await call("GET", path)).body.tables)).toEqual(["authors", "books", "films"]);
		expect((await call("DELETE", `${path}/tables/films`)).status).toBe(204);
		expect((await call("GET", `${path}/tables/films`)).body.error).toBe("unknown_table");
		const half = { name: "Half", tables: { good: { columns: {} }, "Bad!": { columns: {} } } };
		expect((await call("POST", "/workspaces", half)).status).toBe(400);
		expect((await call("DELETE", path)).status).toBe(204);
		expect((await call("GET", path)).status).toBe(404);
		expect((await call("GET", "/workspaces")).body).toEqual({ workspaces: [] });
		for (const ask of ["/workspaces", path, `${path}/tables/books/rows`])
			expect((await call("GET", ask, undefined, "")).status).toBe(401);
	});

	it("says what is wrong with a table, with the place and what may stand there", async () => {
		const refused = async (tables: object) => (await call("POST", "/workspaces", { name: "x", tables })).body.message;
		expect(await refused({ t: { columns: { a: { type: "blob" } } } })).toMatch(
			/columns\.a.*"text" or "number".*"json"/,
		);
		expect(await refused({ t: { columns: { a: { type: "select" } } } })).toMatch(/options: is missing/);
		expect(await refused({ t: { columns: { id: { type: "text" } } } })).toMatch(/"id"/);
		expect(await refused({ t: {} })).toMatch(/columns: is missing/);
	});

	it("answers as its own description says, for every kind of column", async () => {
		const { id } = (await call("POST", "/workspaces", library)).body;
		const root = `/workspaces/${id}`;
		const api = (await call("GET", `${root}/openapi.json`)).body;
		expect(await new Validator().validate(api)).toMatchObject({ valid: true });
		for (const [, reference] of JSON.stringify(api).matchAll(/"\$ref":"([^"]+)"/g)) {
			expect(reference).toMatch(/^#\/components\/schemas\//);
			expect(Object.keys(api.components.schemas)).toContain(reference?.split("/").at(-1));
		}
		const ask = (method: string, path: string, body?: unknown) => described(api, method, `${root}${path}`, body);

		const { body: author } = await ask("POST", "/tables/authors/rows", { name: "Richard Adams" });
		const full = {
			...{ title: "Watership Down", pages: 478, lent: false, bought: "2026-02-22T12:00:00+01:00", state: "new" },
			...{ marks: ["rabbits"], author: author.id, more: { shelf: [1, null, { deep: true }] } },
		};
		const { status, body: row } = await ask("POST", "/tables/books/rows", full);
		expect(status).toBe(201);
		expect(row).toMatchObject(full);
		expect((await ask("GET", `/tables/books/rows/${row.id}`)).body).toEqual(row);
		expect((await ask("PATCH", `/tables/books/rows/${row.id}`, { pages: null, lent: true })).body).not.toHaveProperty(
			"pages",
		);
		const { body: bare } = await ask("POST", "/tables/books/rows", { title: "Plague Dogs", pages: 461 });
		const listed = await ask("GET", "/tables/books/rows?sort=-title&filter=lent:true&limit=1");
		expect(listed.body).toMatchObject({ rows: [{ id: row.id }], next: null, total: 1 });
		expect((await ask("GET", "/tables/books/rows?limit=1&sort=title")).body).toMatchObject({ next: bare.id, total: 2 });
		expect((await ask("GET", `/tables/books/rows?limit=1&sort=title&after=${bare.id}`)).body).toMatchObject({
			rows: [{ id: row.id }],
			next: null,
		});

		for (const [method, path, body, code] of [
			["POST", "/tables/books/rows", { pages: 3 }, 400],
			["POST", "/tables/books/rows", { title: "t", colour: "red" }, 400],
			["POST", "/tables/books/rows", { title: "t", bought: "yesterday" }, 400],
			["POST", "/tables/books/rows", { title: "t", author: "nobody" }, 400],
			["GET", "/tables/books/rows?limit=0", undefined, 400],
			["GET", "/tables/books/rows?sort=colour", undefined, 400],
			["GET", "/tables/books/rows?filter=colour", undefined, 400],
			["GET", "/tables/books/rows/none", undefined, 404],
			["PATCH", "/tables/books/rows/none", { pages: 1 }, 404],
			["POST", "/actions/books_create", { pages: 1 }, 400],
			["POST", "/actions/books_get", {}, 400],
		] as const)
			expect((await ask(method, path, body)).status, `${method} ${path}`).toBe(code);

		const { actions } = (await call("GET", `${root}/actions`)).body;
		const paths = actions.map(({ name }: { name: string }) => `${root}/actions/${name}`);
		expect(Object.keys(api.paths)).toEqual(expect.arrayContaining(paths));
		const created = (await ask("POST", "/actions/books_create", { title: "By action" })).body.result;
		await ask("POST", "/actions/books_update", { id: created.id, pages: 9 });
		expect((await ask("POST", "/actions/books_get", { id: created.id })).body.result).toMatchObject({ pages: 9 });
		expect((await ask("POST", "/actions/books_list", { filter: { title: "By action" } })).body.result.total).toBe(1);
		expect((await ask("POST", "/actions/books_delete", { id: created.id })).body).toEqual({
			result: { deleted: created.id },
		});
		const stricter = { columns: { ...everyKind, shelf: { type: "text", required: true } } };
		expect((await call("PUT", `${root}/tables/books`, stricter)).status).toBe(200);
		const later = (await call("GET", `${root}/openapi.json`)).body;
		expect((await described(later, "POST", `${root}/tables/books/rows`, { title: "t" })).body.message).toMatch(
			/^shelf: /,
		);
		const before = await described(later, "GET", `${root}/tables/books/rows/${row.id}`);
		expect(before, "a row of before the column was required").toMatchObject({ status: 200, body: { lent: true } });
		expect((await ask("DELETE", `/tables/books/rows/${row.id}`)).status).toBe(204);
		expect((await ask("DELETE", `/tables/books/rows/${row.id}`)).status).toBe(404);
		expect((await call("POST", `${root}/actions/books_burn`, {})).body.error).toBe("unknown_action");
	});
});
