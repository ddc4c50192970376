import { openSqliteTables, type SqliteTables } from "@warren/store";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bearer, type HubTables, hubSchemas, nextAddress, password, TestHub } from "../hub.testing.ts";

let tables: SqliteTables<HubTables>;
beforeEach(async () => {
	tables = await openSqliteTables<HubTables>(":memory:", hubSchemas);
});
afterEach(() => tables.close());

const login = (hub: TestHub) =>
	hub.call("POST", "/auth/login", { email: "ada@example.test", password }, { "x-forwarded-for": nextAddress() });

it("a sign-out that cannot be written is not answered as one: the session lives, and ends when it can", async () => {
	await using hub = await TestHub.open(tables);
	const owner = await hub.owner();
	const { statements } = tables;
	statements.all(
		"CREATE TRIGGER stuck BEFORE DELETE ON auth_session BEGIN SELECT RAISE(FAIL, 'the disk does not answer'); END",
	);
	const refused = await hub.call("POST", "/auth/sign-out", {}, bearer(owner));
	expect([refused.status, refused.body.error]).toEqual([500, "internal"]);
	expect((await hub.call("GET", "/me", undefined, bearer(owner))).status).toBe(200);
	statements.all("DROP TRIGGER stuck");
	expect((await hub.call("POST", "/auth/sign-out", {}, bearer(owner))).status).toBe(200);
	expect((await hub.call("GET", "/me", undefined, bearer(owner))).status).toBe(401);
});

it("a sign-in that a full disk refuses says so", async () => {
	await using hub = await TestHub.open(tables);
	await hub.owner();
	const { statements } = tables;
	const pages = statements.all<{ page_count: number }>("PRAGMA page_count")[0]?.page_count ?? 0;
	statements.all(`PRAGMA max_page_count = ${pages}`);
	// A row that no free page takes.
	statements.all(
		"CREATE TEMP TRIGGER wide AFTER INSERT ON main.auth_session BEGIN UPDATE auth_session SET userAgent = hex(zeroblob(1000000)) WHERE id = NEW.id; END",
	);
	const refused = await login(hub);
	expect([refused.status, refused.body]).toEqual([507, expect.objectContaining({ error: "store_full" })]);
	statements.all(`PRAGMA max_page_count = ${pages + 10_000}`);
	expect((await login(hub)).status).toBe(200);
});

it("a sign-up whose invitation cannot be used up says so, and costs nothing", async () => {
	await using hub = await TestHub.open(tables);
	const owner = await hub.owner();
	const { statements } = tables;
	const { code } = (await hub.call("POST", "/me/invitations", {}, bearer(owner))).body;
	const signUp = () =>
		hub.call(
			"POST",
			"/auth/signup",
			{ name: "Bob", email: "bob@example.test", password, invitation: code },
			{ "x-forwarded-for": nextAddress() },
		);
	statements.all(
		"CREATE TRIGGER stuck BEFORE UPDATE ON accounts_invitations BEGIN SELECT RAISE(FAIL, 'the disk does not answer'); END",
	);
	const refused = await signUp();
	expect([refused.status, refused.body]).toEqual([500, expect.objectContaining({ error: "internal" })]);
	statements.all("DROP TRIGGER stuck");
	expect((await signUp()).status).toBe(200);
});
