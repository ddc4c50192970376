import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import type { OverlayRule } from "@warren/kernel";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { RuleTable } from "./rule-table.ts";

const from = (address: string): OverlayRule[] => [{ direction: "in", addresses: [address] }];
const bad = from("192.0.2.66/32");
const good = from("192.0.2.1/32");
const late = from("192.0.2.2/32");

/** A host whose `nft` takes no rules that name 192.0.2.66, and writes down whose it is given. */
function host() {
	const folder = tempFolder("rule-table");
	const nft = `#!/bin/sh
rules=$(cat)
echo "$rules" | grep -o '192\\.0\\.2\\.[0-9]*/32' | sort -u >> ${folder.file("calls")}
case "$rules" in *192.0.2.66*) echo "no such rule" >&2; exit 1;; esac\n`;
	writeFileSync(folder.file("nft"), nft);
	chmodSync(folder.file("nft"), 0o755);
	vi.stubEnv("PATH", `${folder.path}:/usr/bin:/bin`);
	const refusals = new Array<string | null>();
	const { promise: refused, resolve } = Promise.withResolvers<void>();
	const table = new RuleTable(new VirtualClock(), "wg0", {
		refused: (reason) => {
			refusals.push(reason);
			resolve();
		},
		failed: (fault) => {
			throw fault;
		},
	});
	const calls = () => (existsSync(folder.file("calls")) ? readFileSync(folder.file("calls"), "utf8").split("\n") : []);
	const done = () => new Promise<void>((settle) => table.afterwards(settle));
	return { folder, table, refusals, refused, calls, done };
}

describe("rules that the host refuses", () => {
	afterEach(() => vi.unstubAllEnvs());

	it("give way to newer ones at once, and nothing waits for them any longer", async () => {
		const { folder, table, refusals, refused, calls, done } = host();
		using _folder = folder;
		table.set(bad);
		const waits = done();
		await refused;
		table.set(good);
		await waits;
		expect(calls().slice(0, 2)).toEqual(["192.0.2.66/32", "192.0.2.1/32"]);
		expect(refusals).toEqual([expect.stringMatching(/no such rule/), null]);
		await table.close();
	});

	it("give way to those that waited behind them, the newest, which older ones do not replace", async () => {
		const { folder, table, refused, calls, done } = host();
		using _folder = folder;
		table.set(bad);
		table.set(good);
		table.set(late);
		await refused;
		await done();
		expect(calls().filter((each) => each !== "")).toEqual(["192.0.2.66/32", "192.0.2.2/32"]);
		await table.close();
	});
});
