/** The hub that everybody may use without one of their own: a build constant, empty in a self-hosted build. */
export const cloudUrl: string = typeof __WARREN_CLOUD_URL__ === "undefined" ? "" : __WARREN_CLOUD_URL__;

export type HubMode = "cloud" | "self-hosted";

/** Which kind of hub a page of this origin belongs to. */
export function hubModeOf(origin: string, cloud: string = cloudUrl): HubMode {
	return cloud !== "" && new URL(cloud).origin === origin ? "cloud" : "self-hosted";
}

/**
 * A hub's address as people type or scan it: `atlas.local:5151`, `https://hub.example/`, a setup or pairing link.
 * @returns its origin with the fragment that came along, or null when it names no hub. HTTPS only, but for loopback.
 */
export function parseHubAddress(text: string): URL | null {
	const trimmed = text.trim();
	const candidate = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
	if (trimmed === "" || !URL.canParse(candidate)) return null;
	const url = new URL(candidate);
	if (url.username !== "" || url.password !== "" || url.hostname === "") return null;
	const isLoopback = url.hostname === "localhost" || url.hostname === "127.0.0.1" || url.hostname === "[::1]";
	if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback)) return null;
	return new URL(`/${url.hash}`, url.origin);
}
