/**
 * Where another device finds this hub: the address that this page was reached by, which works from here at least; the
 * hub's own word when this page was reached over loopback.
 */
export function reachableOrigin(here: Pick<Location, "hostname" | "origin">, hubUrl: string): string {
	const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(here.hostname);
	return isLoopback ? new URL(hubUrl).origin : here.origin;
}
