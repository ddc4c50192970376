import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Workerd, workerdCompatibility } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseEdgeConfig } from "./config/edge-config.ts";

const folder = join(import.meta.dirname, "..");
/** What wrangler reads: JSON with comments, each of them on a line of its own. */
const read = () =>
	JSON.parse(readFileSync(join(folder, "wrangler.jsonc"), "utf8").replace(/^\s*\/\/.*$/gm, "")) as {
		readonly main: string;
		readonly compatibility_date: string;
		readonly compatibility_flags: readonly string[];
		readonly durable_objects: { readonly bindings: readonly { readonly name: string; readonly class_name: string }[] };
		readonly migrations: readonly { readonly tag: string; readonly new_sqlite_classes: readonly string[] }[];
		readonly vars: Readonly<Record<string, string>>;
	};

describe("wrangler.jsonc", () => {
	it("asks for the behaviour of the runtime that the tests run with", () => {
		const { compatibility_date, compatibility_flags } = read();
		expect({ date: compatibility_date, flags: compatibility_flags }).toEqual(workerdCompatibility);
	});

	it("names a configuration that the hub takes, and no secret", () => {
		const { vars } = read();
		expect(parseEdgeConfig(vars).urls).toHaveLength(1);
		expect(Object.keys(vars).filter((name) => /SECRET|SETUP|KEY|TOKEN/.test(name))).toEqual([]);
	});

	it("binds classes that are there, each with storage that was made for it: the hub starts as it is written", async () => {
		const { durable_objects, migrations, vars } = read();
		const classes = durable_objects.bindings.map((each) => each.class_name);
		expect(migrations.flatMap((each) => each.new_sqlite_classes).sort()).toEqual([...classes].sort());
		await using workerd = await Workerd.start(join(import.meta.dirname, "worker.ts"), {
			objects: Object.fromEntries(durable_objects.bindings.map((each) => [each.name, each.class_name])),
			bindings: { ...vars, WARREN_URL: "http://localhost" },
		});
		const answer = await fetch(`${workerd.origin}/`, { headers: { accept: "application/json" } });
		expect([answer.status, ((await answer.json()) as { name: string }).name]).toEqual([200, vars["WARREN_NAME"]]);
	}, 120_000);
});
