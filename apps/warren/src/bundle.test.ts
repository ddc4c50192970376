import { cpSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { run } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";

/** A checkout whose bundle and whose sources say which of them runs, all written at the same time. */
function checkout() {
	const folder = tempFolder("bundle");
	const files = {
		"package.json": '{"type":"module"}',
		"package-lock.json": "{}",
		"packages/one/src/deep/part.ts": "",
		"packages/one/src/part.test.ts": "",
		"apps/warren/src/program.js": 'console.log("sources");',
		"apps/warren/dist/program.js": 'console.log("bundle");',
		"apps/warren/dist/.built-from": "",
	};
	for (const [name, text] of Object.entries(files)) {
		mkdirSync(join(folder.path, dirname(name)), { recursive: true });
		writeFileSync(join(folder.path, name), text);
	}
	for (const name of ["main.js", "bundle.js"])
		cpSync(join(import.meta.dirname, name), join(folder.path, "apps/warren/src", name));
	const changed = (name: string, secondsLater: number) => {
		const time = Date.now() / 1000 + secondsLater;
		utimesSync(join(folder.path, name), time, time);
	};
	changed("apps/warren/dist/.built-from", 60);
	const runs = async () => {
		const done = await run(process.execPath, [join(folder.path, "apps/warren/src/main.js")], { timeoutMs: 60_000 });
		return done.outcome === "exited" && done.code === 0 ? done.stdout.trim() : done;
	};
	return { ...folder, changed, runs, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

describe("the program's bundle", () => {
	it("is what runs where it is newer than its sources", async () => {
		using made = checkout();
		expect(await made.runs()).toBe("bundle");
		made.changed("packages/one/src/part.test.ts", 120);
		expect(await made.runs(), "a test is no part of it").toBe("bundle");
	});

	it.each(["packages/one/src/deep/part.ts", "packages/one/src/deep", "apps/warren/src/bundle.js", "package-lock.json"])(
		"is left alone once %s has changed",
		async (name) => {
			using made = checkout();
			made.changed(name, 120);
			expect(await made.runs()).toBe("sources");
		},
	);

	it("is left alone where it was not written to its end, and is not needed", async () => {
		using made = checkout();
		rmSync(join(made.path, "apps/warren/dist/.built-from"));
		expect(await made.runs()).toBe("sources");
		rmSync(join(made.path, "apps/warren/dist"), { recursive: true });
		expect(await made.runs()).toBe("sources");
	});

	it("is all there is where nothing of the sources came along", async () => {
		using made = checkout();
		rmSync(join(made.path, "packages"), { recursive: true });
		expect(await made.runs()).toBe("bundle");
	});
});
