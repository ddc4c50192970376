import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, noPostgres, TestPostgres, tempFolder } from "@warren/testkit";
import { Client } from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { playScene } from "./play-scene.ts";
import type { Shell } from "./typed.ts";
import { WorkersAccount } from "./workers-account.ts";

/** What docs/workers.md shows is typed as it stands in apps/edge, against an account on loopback; nothing else is asked. */
const root = join(import.meta.dirname, "../../..");
const edge = join(root, "apps/edge");
const setUp = "the-one-time-setup-secret";
const minutes = 240_000;
const missing = existsSync("/usr/bin/curl") ? null : "curl is not installed";

let stack: AsyncDisposableStack;
let folder: string;
beforeEach(() => {
	stack = new AsyncDisposableStack();
	folder = stack.use(tempFolder("workers-docs")).path;
	mkdirSync(join(edge, "dist"), { recursive: true });
	// apps/edge as it stands, in a place of its own for what wrangler writes; with the URL that a reader puts there.
	for (const each of ["src", "dist", "bundle.mjs"]) symlinkSync(join(edge, each), join(folder, each));
	symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
	const configuration = readFileSync(join(edge, "wrangler.jsonc"), "utf8");
	const url = "https://warren-hub.example.workers.dev";
	expect(configuration).toContain(url);
	writeFileSync(join(folder, "wrangler.jsonc"), configuration.replace(url, "http://localhost"));
});
afterEach(() => stack.disposeAsync());

const shell = (more: Readonly<Record<string, string>> = {}): Shell => ({
	cwd: folder,
	env: {
		...{ HOME: folder, XDG_CONFIG_HOME: folder, TMPDIR: folder, MINIFLARE_CACHE_DIR: folder, SETUP: setUp },
		// Neither tells it anybody, nor does it look for a newer one of itself.
		...{ WRANGLER_SEND_METRICS: "false", WRANGLER_SEND_ERROR_REPORTS: "false", WRANGLER_HIDE_BANNER: "true" },
		...{ CLOUDFLARE_CF_FETCH_ENABLED: "false", npm_config_offline: "true", CI: "true" },
		...more,
	},
});

describe("the commands of the hub on Workers run", () => {
	it("on one's own machine", { timeout: minutes }, async (context) => {
		context.skip(missing !== null, missing ?? "");
		writeFileSync(join(folder, ".dev.vars"), `WARREN_SETUP=${setUp}\n`);
		await playScene(stack, "workersDev", shell(), {
			HUB: String(await freePort()),
			INSPECTOR: String(await freePort()),
		});
	});

	it("and deploy it: what was uploaded is the hub that the first account is made at", {
		timeout: minutes,
	}, async (context) => {
		context.skip(missing !== null, missing ?? "");
		const account = stack.use(await WorkersAccount.open());
		const words: Record<string, string> = {};
		await playScene(stack, "workers", shell(account.env), words, ({ shown }) => {
			if (shown === "npx wrangler deploy") words["HUB"] = String(account.port);
		});
		expect(account.unknown).toEqual([]);
	});

	it("with its accounts in PostgreSQL", { timeout: minutes }, async (context) => {
		const without = missing ?? noPostgres();
		context.skip(without !== null, without ?? "");
		const postgres = stack.use(new TestPostgres({ port: await freePort() }));
		const database = `postgres://${postgres.user}@127.0.0.1:${postgres.port}/${postgres.createDatabase()}`;
		const account = stack.use(await WorkersAccount.open());
		const words: Record<string, string> = {};
		await playScene(stack, "workersDatabase", shell({ ...account.env, DATABASE: database }), words, ({ shown }) => {
			if (shown === "npx wrangler deploy") words["HUB"] = String(account.port);
		});
		expect(account.unknown).toEqual([]);
		const client = new Client(database);
		await client.connect();
		const tables = await client.query("select table_name from information_schema.tables where table_schema = 'public'");
		await client.end();
		expect(tables.rowCount).toBeGreaterThan(5);
	});
});
