import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";

const main = fileURLToPath(new URL("../main.js", import.meta.url));

describe("a sidecar with --attached", () => {
	it.each([
		["its reader still there", false],
		["nobody left who reads it", true],
	])("ends in good order when its standard input does, %s", async (_name, alone) => {
		using folder = tempFolder("attached");
		const words = ["sidecar", "--attached", "--json", "--port", "0", "--hub", "http://127.0.0.1:9"];
		const child = spawn(process.execPath, [main, ...words, "--data", folder.path], { stdio: "pipe" });
		const exited = once(child, "exit");
		await once(createInterface(child.stdout), "line");
		if (alone) for (const output of [child.stdout, child.stderr]) output.destroy();
		child.stdin.end();
		expect(await exited).toEqual([0, null]);
	});
});
