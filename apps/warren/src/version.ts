import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };

/** The product's version, as /api/identify gives it. */
export const version: string = manifest.version;
