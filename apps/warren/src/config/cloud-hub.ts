import { defineErrors } from "@warren/kernel";
import { builtInCloudUrl } from "../version.ts";

const cloudError = defineErrors({ bad_cloud_url: { status: 400 } });

/** Origin of the hub that everybody may use (`builtInCloudUrl`), or null. @throws WarrenError `bad_cloud_url` for one that is not https (or loopback). */
export function cloudHub(environment: Readonly<Record<string, string | undefined>>): string | null {
	const told = environment["WARREN_CLOUD_URL"] ?? builtInCloudUrl;
	if (told === "") return null;
	const url = URL.canParse(told) ? new URL(told) : null;
	const isLoopback = url !== null && /^(localhost|127\.0\.0\.1|\[::1\])$/.test(url.hostname);
	if (url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback)) return url.origin;
	throw cloudError("bad_cloud_url", `WARREN_CLOUD_URL is "${told.slice(0, 120)}", and must be an https address.`);
}
