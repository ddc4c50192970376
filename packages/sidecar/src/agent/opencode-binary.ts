import { accessSync, constants, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { agentError } from "./agent-errors.ts";

/** The version whose files and protocol this was written for. */
export const opencodeVersion = "1.18.33";

/** Packages that hold the program itself; others than the first come with a global `opencode-ai`. */
const packages = [
	`opencode-${process.platform}-${process.arch}-baseline`,
	`opencode-${process.platform}-${process.arch}`,
];

/**
 * Finds the program: where it was said to be, in this installation, in PATH.
 * @throws WarrenError `no_opencode`.
 */
export function findOpencode(options: { readonly command: string | null; readonly path: string }): string {
	if (options.command !== null) {
		if (isProgram(options.command)) return options.command;
		throw agentError("no_opencode", `${options.command} is no program that can be run.`);
	}
	const name = process.platform === "win32" ? "opencode.exe" : "opencode";
	const require = createRequire(import.meta.url);
	for (const each of packages) {
		try {
			const program = join(dirname(require.resolve(`${each}/package.json`)), "bin", name);
			if (isProgram(program)) return program;
		} catch {
			// Not installed for this platform: it may be in PATH.
		}
	}
	for (const folder of options.path.split(delimiter)) {
		const program = join(folder, name);
		if (folder !== "" && isProgram(program)) return program;
	}
	throw agentError("no_opencode", "The coding agent's program (OpenCode 1.18) is not installed here.");
}

function isProgram(path: string): boolean {
	if (!existsSync(path)) return false;
	try {
		accessSync(path, constants.X_OK);
		return true;
	} catch {
		// There, and not for us to run.
		return false;
	}
}
