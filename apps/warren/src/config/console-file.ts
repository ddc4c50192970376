import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { defineErrors, type Lifetime } from "@warren/kernel";
import { z } from "zod";
import type { DataFolder } from "./data-folder.ts";

const fileName = "console.json";
const consoleSchema = z.object({
	url: z.string(),
	/** Where this machine reaches it, as a URL spells it. */
	host: z.string().default("localhost"),
	port: z.int(),
	secure: z.boolean(),
	/** PEM of what its certificate chains to; null with certificate files of the operator's own. */
	ca: z.string().nullable().default(null),
	pid: z.int(),
	token: z.string(),
});

/** How commands on this machine reach the node that runs on a data folder. */
export type ConsoleFile = z.infer<typeof consoleSchema>;

const consoleError = defineErrors({ not_running: { status: 503 } });

/** Written 0600 while the node runs. */
export function publishConsole(data: DataFolder, lifetime: Lifetime, contents: ConsoleFile): void {
	data.write(JSON.stringify(contents), fileName);
	lifetime.defer(() => rmSync(data.file(fileName), { force: true }));
}

/** @throws WarrenError `not_running`. */
export function readConsole(dataPath: string): ConsoleFile {
	const path = join(dataPath, fileName);
	const parsed = existsSync(path) ? consoleSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))) : null;
	if (parsed?.success !== true) {
		throw consoleError("not_running", `No node runs on ${dataPath}.`, {
			fix: "Start it with: warren up   (or name its folder with --data DIR)",
		});
	}
	return parsed.data;
}

export function localUrl({ secure, host, port }: ConsoleFile): string {
	return `${secure ? "https" : "http"}://${host}:${port}`;
}
