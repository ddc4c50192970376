import { fileURLToPath } from "node:url";

// From this folder, and from the bundle's beside it.

/** The checkout that it runs from. */
export const checkoutFolder = fileURLToPath(new URL("../../..", import.meta.url));
/** The web UI, built. */
export const builtWebFolder = fileURLToPath(new URL("../../web/dist", import.meta.url));

/** A file of the pages that are served as they lie there. */
export function pageFile(name: string): URL {
	return new URL(`../src/pages/${name}`, import.meta.url);
}
