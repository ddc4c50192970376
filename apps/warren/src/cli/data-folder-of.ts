import { resolve } from "node:path";
import { defaultDataFolder } from "../config/data-folder.ts";

/** The data folder that a command means: `--data`, WARREN_DATA, or the platform's place. */
export function dataFolderOf(flags: { readonly data?: string }): string {
	return resolve(flags.data ?? process.env["WARREN_DATA"] ?? defaultDataFolder(process.env));
}
