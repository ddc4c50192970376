import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { HostedApp } from "@warren/overlay/joiner";
import { z } from "zod";
import type { DataFolder } from "../config/data-folder.ts";

const appSchema = z.object({ uuid: z.uuid(), port: z.int().min(1).max(65535), name: z.string().max(63).optional() });
const appsSchema = z.array(appSchema).max(1000);

/** What `warren expose` gives an address on the overlay: written by the private process, read by the joiner beside it. */
export function appsFile(dataPath: string): string {
	return join(dataPath, "overlay", "apps.json");
}

export function writeApps(data: DataFolder, apps: readonly z.infer<typeof appSchema>[]): void {
	const text = `${JSON.stringify(apps)}\n`;
	if ((data.read("overlay", "apps.json") ?? "[]\n") !== text) data.write(text, "overlay", "apps.json");
}

/** Local services by their UUIDs; none while the file is not there, or not whole. */
export function readApps(dataPath: string): HostedApp[] {
	const file = appsFile(dataPath);
	if (!existsSync(file)) return [];
	try {
		return appsSchema.parse(JSON.parse(readFileSync(file, "utf8"))).map(({ name, ...app }) => ({
			...app,
			host: "127.0.0.1",
			...(name === undefined ? {} : { name }),
		}));
	} catch {
		// Written by hand: the next change of `warren expose` replaces it.
		return [];
	}
}
