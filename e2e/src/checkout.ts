import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { tempFolder } from "@warren/testkit";

const root = join(import.meta.dirname, "../..");

/** Why none can be made here; null = one can. */
export function checkoutMissing(): string | null {
	if (spawnSync("git", ["-C", root, "rev-parse", "HEAD"]).status !== 0) return "this is no git checkout";
	return spawnSync("npm", ["--version"]).status === 0 ? null : "npm is not installed";
}

/**
 * The newest commit as `git clone` gives it to a stranger, in a folder of its own that is gone at dispose. Its
 * dependencies are those of this checkout, hard-linked, as if `npm ci` had just brought them; nothing else is built.
 */
export function strangersCheckout(): { readonly path: string } & Disposable {
	const folder = tempFolder("checkout");
	try {
		const path = join(folder.path, "warren");
		must("git", ["clone", "--quiet", "--depth=1", pathToFileURL(root).href, path]);
		for (const modules of ["node_modules", "packages/accounts/node_modules"]) {
			if (!existsSync(join(root, modules))) continue;
			const copied = ["-a", join(root, modules), join(path, modules)];
			if (spawnSync("cp", ["-l", ...copied]).status !== 0) must("cp", ["-f", ...copied]);
		}
		const setUp = pathToFileURL(join(path, "scripts/setup.mjs")).href;
		must(process.execPath, ["--eval", `import(${JSON.stringify(setUp)}).then((each) => each.markInstalled())`]);
		return { path, [Symbol.dispose]: () => folder[Symbol.dispose]() };
	} catch (failure) {
		folder[Symbol.dispose]();
		throw failure;
	}
}

function must(command: string, args: readonly string[]): void {
	const done = spawnSync(command, args, { encoding: "utf8" });
	if (done.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${done.stderr}${done.error ?? ""}`);
}
