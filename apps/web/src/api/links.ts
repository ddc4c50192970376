const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** A host that means this very machine, wherever it is typed. */
export const isLoopback = (hostname: string) => loopback.test(hostname);

/**
 * Where another device finds this hub: the address that this page was reached by, which works from here at least; the
 * hub's own word when this page was reached over loopback.
 */
export function reachableOrigin(here: Pick<Location, "hostname" | "origin">, hubUrl: string): string {
	return isLoopback(here.hostname) ? new URL(hubUrl).origin : here.origin;
}
