import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
	version: string;
	config?: { cloudUrl?: string };
};

/** The product's version, as /api/identify gives it. */
export const version: string = manifest.version;

/**
 * The hub that everybody may use without one of their own: `config.cloudUrl` of package.json, the one constant of a
 * build, for the command line and the web pages alike. Empty: there are self-hosted hubs alone.
 */
export const builtInCloudUrl: string = manifest.config?.cloudUrl ?? "";
