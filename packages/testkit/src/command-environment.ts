import { fileURLToPath } from "node:url";

/** Compiled code of a checkout, the same for all commands that tests start: compiling it is most of a start. */
export const compiledCode = fileURLToPath(new URL("../../../node_modules/.cache", import.meta.url));

/** Environment of a `warren` command with this HOME, and nothing of whoever runs the tests. */
export function commandEnvironment(
	home: string,
	more: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
	return { PATH: process.env["PATH"] ?? "", HOME: home, XDG_CACHE_HOME: compiledCode, ...more };
}
