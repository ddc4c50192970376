import type { Cidr } from "../protocol/cidr.ts";
import { attribute, joined, text, u32 } from "./netlink.ts";

/** Links and routes as rtnetlink(7) takes them. */
export const routeTypes = { newLink: 16, deleteLink: 17, newRoute: 24, deleteRoute: 25 } as const;

const linkAttributes = { name: 3, mtu: 4, info: 18 } as const;
const linkInfoKind = 1;
const routeAttributes = { destination: 1, outInterface: 4, priority: 6, metrics: 8 } as const;
const metricMtu = 2;
const mainTable = 254;
const staticProtocol = 4;
const universe = 0;
const linkScope = 253;
const unicast = 1;

/** A link of kind "wireguard", down. */
export function newWireguardLink(name: string, mtu: number): Uint8Array {
	return joined([
		linkHeader(0),
		attribute(linkAttributes.name, text(name)),
		attribute(linkAttributes.mtu, u32(mtu)),
		attribute(linkAttributes.info, [attribute(linkInfoKind, new TextEncoder().encode("wireguard"))]),
	]);
}

export function deleteLink(name: string): Uint8Array {
	return joined([linkHeader(0), attribute(linkAttributes.name, text(name))]);
}

/** A route by an interface whose packets are at most `mtu` bytes. @param priority v6: the lower one counts. */
export function mtuRoute(to: Cidr, interfaceIndex: number, priority: number, mtu: number): Uint8Array {
	const address = new Uint8Array(to.words.length * 4);
	const view = new DataView(address.buffer);
	to.words.forEach((word, at) => {
		view.setUint32(at * 4, word);
	});
	const isV4 = to.version === 4;
	return joined([
		// rtmsg: family, destination's length, source's, tos, table, protocol, scope, type, flags u32.
		Uint8Array.of(isV4 ? 2 : 10, to.length, 0, 0, mainTable, staticProtocol, isV4 ? linkScope : universe, unicast),
		u32(0),
		attribute(routeAttributes.destination, address),
		attribute(routeAttributes.outInterface, u32(interfaceIndex)),
		attribute(routeAttributes.priority, u32(priority)),
		attribute(routeAttributes.metrics, [attribute(metricMtu, u32(mtu))]),
	]);
}

/** ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, mask u32. */
function linkHeader(index: number): Uint8Array {
	return joined([u32(0), u32(index), u32(0), u32(0)]);
}
