import { isLoopback } from "../config/server-config.ts";
import type { NodeBase } from "../node/role-part.ts";

/** As other machines reach this node: by the first of its hosts that means the same there. Null with plain HTTP. */
export function reachedAt({ hosts, port, urls }: NodeBase): string | null {
	if (urls[0]?.startsWith("https:") !== true) return null;
	const named = hosts();
	const host = named.find((each) => !isLoopback(each)) ?? named[0];
	return host === undefined ? null : `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
