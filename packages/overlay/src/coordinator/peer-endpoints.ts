import { formatEndpoint, isLoopbackAddress, parseEndpoint } from "../endpoint.ts";
import { overlayError } from "../errors.ts";
import type { Caller, LivePeer } from "./live-peer.ts";

/** The address that the request came from, with the port that WireGuard listens on: right behind port-preserving NATs. */
export function observedEndpoint(peer: Pick<LivePeer, "observedIp" | "wgListenPort">): string | null {
	if (peer.wgListenPort === null) return null;
	const text = formatEndpoint({ address: peer.observedIp, port: peer.wgListenPort });
	return parseEndpoint(text) === null ? null : text;
}

/** A joiner on the coordinator's own host is seen at loopback, which is another host for everybody else. */
export function outsideOf(observed: string | null, candidates: readonly string[]): string | null {
	const loops = (text: string) => isLoopbackAddress(parseEndpoint(text)?.address ?? "");
	return observed !== null && loops(observed) ? (candidates.find((each) => !loops(each)) ?? observed) : observed;
}

/** What a joiner says of itself; null where it says nothing that others could use. @throws WarrenError `bad_peer`. */
export function usableEndpoint(text: string | null | undefined, caller: Caller): string | null {
	if (text == null || text.trim() === "") return null;
	const endpoint = parseEndpoint(text);
	if (endpoint === null)
		throw overlayError(
			"bad_peer",
			`listen_endpoint "${text.slice(0, 64)}" is not an address and a port that can be sent to.`,
		);
	// Else a joiner could have all others send to a port of their own machines.
	if (isLoopbackAddress(endpoint.address) && !isLoopbackAddress(caller.remoteAddress)) return null;
	return formatEndpoint(endpoint);
}

/** Those that cannot be sent to are left out: a joiner lists what its interfaces have. */
export function usableCandidates(texts: readonly string[], caller: Caller): string[] {
	const usable = texts.flatMap((text) => {
		const endpoint = parseEndpoint(text);
		if (endpoint === null || (isLoopbackAddress(endpoint.address) && !isLoopbackAddress(caller.remoteAddress)))
			return [];
		return [formatEndpoint(endpoint)];
	});
	return [...new Set(usable)];
}
