import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { commandEnvironment, tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";

/** Prints the packages that importing a file loads. */
const listed = `
	import { registerHooks } from "node:module";
	const packages = new Set();
	registerHooks({
		load(url, context, next) {
			const [, name] = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)\\//.exec(url) ?? [];
			if (name !== undefined) packages.add(name);
			return next(url, context);
		},
	});
	await import(process.argv[1]);
	console.log(JSON.stringify([...packages]));
	process.exit();
`;

async function packagesOf(file: string): Promise<string[]> {
	using home = tempFolder("libraries");
	const args = ["--input-type=module", "--eval", listed, fileURLToPath(new URL(file, import.meta.url))];
	const { stdout } = await promisify(execFile)(process.execPath, args, { env: commandEnvironment(home.path) });
	return JSON.parse(stdout) as string[];
}

// Each is 50 to 300 modules, in every process of every machine.
const opened = /^(@nats-io\/.*|pg|better-auth|@better-auth\/.*|@peculiar\/.*|@tanstack\/.*|openai|@anthropic-ai\/.*)$/;

it.each([
	["../cli/command-line.ts", "commander"],
	["./run-node.ts", "ws"],
	["../sidecar/sidecar-role.ts", "ws"],
	["../hub/hub-role.ts", "ws"],
])("%s loads %s, and no library before it is used", async (file, uses) => {
	const packages = await packagesOf(file);
	expect(packages).toContain(uses);
	expect(packages.filter((name) => opened.test(name))).toEqual([]);
});
