import { isSea } from "node:sea";
import { fileURLToPath } from "node:url";

/** How this very program is started again: its executable, and its file where it is not one executable. */
export const ownCommand: readonly [string, ...string[]] = isSea()
	? [process.execPath]
	: [process.execPath, fileURLToPath(new URL("./main.ts", import.meta.url))];
