import { existsSync, readdirSync } from "node:fs";
import { noNats, poseNats, posePostgres, startCommand, TestNats } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Roles that are given engines which they cannot use: they say so, end, and have made nothing. */
const old = { version: "130022", encoding: "UTF8", standby: "f", schema: "public", may_create: "t" };
const local = ["--host", "127.0.0.1", "--port", "0", "--json"];
/** With the flags that let it start without certificates. */
const roles: Readonly<Record<string, readonly string[]>> = {
	hub: [...local, "--http"],
	backbone: [...local, "--http"],
	gateway: local,
	coordinator: [...local, "--insecure-no-mtls"],
};
const needsNats = new Set(["hub", "backbone"]);
const missing = noNats();

/** What a start made in its data folder, its lock aside. */
const made = (data: string) => (existsSync(data) ? readdirSync(data).filter((name) => !name.includes("lock")) : []);

async function refusal(role: string, database: string, natsPort: number) {
	const nats = needsNats.has(role) ? ["--nats", `nats://127.0.0.1:${natsPort}`] : [];
	await using command = startCommand([role, ...(roles[role] ?? []), ...nats], {
		env: {
			WARREN_DATABASE: database,
			WARREN_ADMIN_TOKEN: "an-administrator-of-this-test",
			WARREN_ALLOW_INSECURE: "1",
		},
	});
	return { code: await command.exited, log: command.log(), made: made(command.data) };
}
const urlOf = (port: number, user = "warren") => `postgres://${user}@127.0.0.1:${port}/warren`;

describe("an engine that is not fit", { timeout: 90_000 }, () => {
	let nats: TestNats | undefined;
	beforeAll(async () => {
		if (missing === null) nats = await TestNats.start();
	});
	afterAll(() => nats?.[Symbol.asyncDispose]());

	it.for(Object.keys(roles))(
		"ends the start of a %s: PostgreSQL 13, said with what to do, and nothing made",
		async (role, context) => {
			context.skip(needsNats.has(role) && missing !== null, missing ?? "");
			await using database = await posePostgres({ row: old });
			const ended = await refusal(role, urlOf(database.port), nats?.port ?? 0);
			expect(ended).toMatchObject({
				code: 1,
				made: [],
				log: expect.stringMatching(/PostgreSQL 13\.22[\s\S]*14 or later/),
			});
			expect(database.asked).toHaveLength(1);
		},
	);

	it.each([
		["too old", { version: "2.8.4", jetstream: true }, /version 2\.8\.4[\s\S]*2\.9 or later/],
		["without JetStream", { version: "2.10.18" }, /without JetStream[\s\S]*-js/],
	])("ends a hub's start: NATS %s, and the database is not even asked", async (_what, info, message) => {
		await using database = await posePostgres({ row: { ...old, version: "150018" } });
		await using posed = await poseNats(info);
		const ended = await refusal("hub", urlOf(database.port), posed.port);
		expect(ended).toMatchObject({ code: 1, made: [], log: expect.stringMatching(message) });
		expect(database.asked).toEqual([]);
	});

	it("a password that is wrong is said to be, and stands in no log", async () => {
		await using database = await posePostgres({
			refusal: { code: "28P01", message: 'password authentication failed for user "warren"' },
		});
		const ended = await refusal("gateway", urlOf(database.port, "warren:hunter2"), 0);
		expect(ended).toMatchObject({ code: 1, made: [], log: expect.stringContaining("password authentication failed") });
		expect(ended.log).not.toContain("hunter2");
	});
});
